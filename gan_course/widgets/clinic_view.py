"""The failure clinic: five sick games. Watch the symptom, name the cause, turn the knobs until the patient recovers."""

from __future__ import annotations

from typing import Any

from gan_course.diagnosis import diagnose
from gan_course.widgets import controls
from gan_course.widgets.controls import guarded
from gan_course.widgets.lab_view import LabView
from gan_course.widgets.presets import CAUSES, PATIENTS, healthy, heaps_reached

ATTEMPTS = 2  # wrong guesses after which the settings are shown all the same


class ClinicView(LabView):
    """GAN Lab with a patient in it. The knobs stay hidden until the cause is named: they would give it away."""

    name = "The failure clinic"
    kind = "patient"
    catalogue = PATIENTS

    def extras(self) -> list[Any]:
        self.guesses = 0
        self.cause = controls.menu("diagnosis", [("choose …", ""), *((cause, cause) for cause in CAUSES)], "")
        self.cause.style.description_width = "72px"
        self.name_button = controls.button("Diagnose", "Compare your diagnosis", self._press_diagnose)
        self.examine_button = controls.button("Examine", "Is the patient healthy now?", self._press_examine)
        return [controls.row(self.cause, self.name_button, self.examine_button)]

    def choose(self, name: str, seed: int | None = None) -> None:
        """Let patient ``name`` in."""
        self.preset = patient = PATIENTS[name]
        self.guesses, self.cause.value = 0, ""
        self.knob_row.layout.display = "none"
        self.question.value = controls.paragraph(
            f"Patient {name}: {patient.complaint} Play some {patient.steps:,} steps, name the cause, then cure it "
            "while it plays."
        )
        self.start(patient.knobs, seed)

    def arrived(self) -> None:
        self.say("The symptom is plain now: what is the cause? Choose your diagnosis below the pictures.")

    @guarded
    def _press_diagnose(self, _: Any = None) -> None:
        patient = PATIENTS[self.presets.value]
        if not self.cause.value:
            self.say("Choose a diagnosis first.")
            return
        right = self.cause.value == patient.cause
        self.guesses += 1
        if right:
            self.say(f"Yes: {patient.cause}. {patient.evidence} The settings are open: cure it, then press Examine.")
        elif self.guesses < ATTEMPTS:
            self.say(f"No. Look again: {patient.evidence}")
        else:
            self.say(f"No. {patient.evidence} The settings are open now: which of them is unusual?")
        if right or self.guesses >= ATTEMPTS:
            self.knob_row.layout.display = "flex"

    @guarded
    def _press_examine(self, _: Any = None) -> None:
        if self.lab.centres is None:
            self.say("The examination counts heaps: choose a target that has some.")
            return
        reached = f"{heaps_reached(self.lab):g} of {len(self.lab.centres)} heaps over the last 200 steps"
        log = {name: list(column) for name, column in self.lab.log.items()}
        reading = f" `diagnose` reads from the log: {diagnose(log).verdict}." if log["step"] else ""
        state = "Healthy" if healthy(self.lab) else "Not healthy, or not yet"
        self.say(f"{state}: {reached}.{reading}")

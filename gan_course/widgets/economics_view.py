"""The economics sliders: a picture service in eight numbers to move by hand. Green comes in, purple goes out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import ipywidgets as widgets
import numpy as np
from PIL import Image, ImageDraw

from gan_course.arguments import checked
from gan_course.costs import Business, NeverBreaksEven
from gan_course.widgets import controls
from gan_course.widgets.canvas import GREEN, PALE, PURPLE, SIDE, beside, blank, dashes, ink, text
from gan_course.widgets.charts import Chart, Curve, paint
from gan_course.widgets.panel import CasePanel


def decades(low: float, high: float) -> list[float]:
    """Round numbers from ``low`` to ``high``, ten to each factor of ten."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return [x for k in powers for d in (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8) if low <= (x := float(f"{d}e{k}")) <= high]


class Knob(NamedTuple):
    """One slider: its label and the values that it offers, besides the business's own."""

    label: str
    values: Sequence[float]


SHARES = [k / 20 for k in range(21)]
KNOBS = {
    "price_usd_per_image": Knob("USD a picture", decades(0.0005, 0.5)),
    "images_per_month": Knob("pictures/month", decades(1e4, 1e9)),
    "free_share": Knob("free share", SHARES[:-1]),
    "utilisation": Knob("utilisation", SHARES[1:]),
    "steps": Knob("steps", [1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50]),
    "gpu_usd_per_hour": Knob("USD a GPU-hour", decades(0.2, 15)),
    "fixed_usd_per_month": Knob("fixed USD/month", decades(1e3, 1e7)),
    "training_usd": Knob("training USD", decades(1e3, 1e8)),
}


def short(value: float) -> str:
    """A slider's value in a few letters: "0.01", "60M", "304.5k"."""
    for factor, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= factor:
            return f"{value / factor:.4g}{letter}"
    return f"{value:.4g}"


def make(name: str, own: Sequence[float]) -> Any:
    """The slider of parameter ``name``, at the first of its ``own`` values, which join those of its knob."""
    knob = KNOBS[name]
    exact = {short(value): value for value in [*knob.values, *own]}  # two values that read the same are one
    options = sorted(exact.items(), key=lambda option: option[1])
    return controls.control(widgets.SelectionSlider, knob.label, options=options, value=exact[short(own[0])])


def scaled(amount: float) -> tuple[float, str]:
    """By what to divide amounts of this size, and its name: 2,500,000 is told in millions."""
    for factor, name in ((1e9, "billion "), (1e6, "million "), (1e3, "thousand ")):
        if abs(amount) >= factor:
            return factor, name
    return 1.0, ""


def money(amount: float) -> str:
    """An amount in USD with three digits: "-1.25 million USD"."""
    factor, name = scaled(amount)
    return f"{amount / factor:,.3g} {name}USD"


def month(business: Business) -> Chart:
    """Revenue and costs of a month against the number of pictures, up to twice the present one."""
    pictures = np.linspace(0, 2 * max(business.images_per_month, 1), 41)
    revenue = business.price_usd_per_image * (1 - business.free_share) * pictures
    costs = business.fixed_total_usd_per_month + business.gpu_usd_per_image * pictures
    (many, name), (much, money_name) = scaled(pictures[-1]), scaled(max(revenue[-1], costs[-1]))
    x = (pictures / many).tolist()
    now = business.images_per_month / many
    marks = (
        (now, business.revenue_usd_per_month / much, GREEN),
        (now, (business.gpu_usd_per_month + business.fixed_total_usd_per_month) / much, PURPLE),
    )
    return Chart(
        f"{money_name}USD a month",
        (
            Curve("revenue", x, (revenue / much).tolist(), GREEN),
            Curve("costs", x, (costs / much).tolist(), PURPLE, True),
        ),
        x_name=f"{name}pictures a month",
        marks=marks,
    )


def parts(business: Business) -> dict[str, float]:
    """What a paid picture has to pay for, in USD."""
    paid = max(business.paid_images_per_month, 1e-9)
    return {
        "its own GPU time": business.gpu_usd_per_image,
        "the free pictures' GPU time": business.gpu_usd_per_paid_image - business.gpu_usd_per_image,
        "fixed costs": business.fixed_usd_per_month / paid,
        "training": business.training_usd / business.amortised_months / paid,
    }


def stairs(business: Business) -> Image.Image:
    """The parts of a paid picture's cost, each bar beginning where the last one ends, against its price."""
    page = blank()
    draw = ImageDraw.Draw(page)
    costs, price = parts(business), business.price_usd_per_image
    total = sum(costs.values())
    left, right, top, tall = 24, SIDE - 24, 84, 124
    unit = (right - left) / (1.08 * max(total, price, 1e-12))
    text(draw, 10, 24, "what a paid picture has to pay for, in cents", size=26)
    x, reached = left + price * unit, 0.0
    for i, (name, cost) in enumerate(costs.items()):
        y = top + i * tall
        a, b = left + reached * unit, left + (reached + cost) * unit
        text(draw, left, y, f"{name}: {100 * cost:.3g}", size=26)
        draw.line((left, y + 66, right, y + 66), fill=ink(PALE))
        draw.rectangle((a, y + 22, max(b, a + 2), y + 64), fill=ink(PURPLE))
        dashes(draw, np.array([x, x]), np.array([y + 16.0, y + 72]), GREEN, 4, (14, 8))  # leaves the words readable
        reached += cost
    end = top + len(costs) * tall
    text(draw, min(max(x, 110), SIDE - 120), end - 16, f"price {100 * price:.3g}", GREEN, 26, "mm")
    words = "is left" if price >= total else "is missing"
    text(
        draw, 10, end + 50, f"costs {100 * total:.3g}, price {100 * price:.3g}: {100 * abs(price - total):.3g} {words}"
    )
    return page


class EconomicsView(CasePanel):
    """The widget: ``sliders`` by parameter, ``cases`` by name; ``business`` is what they say now."""

    name = "The economics widget"

    @checked
    def __init__(self, business: Business, cases: Mapping[str, Mapping[str, float]] | None = None):
        super().__init__()
        self.start, self.changes = business, {"start": {}, **(cases or {})}
        for changes in self.changes.values():
            business.but(**changes)  # refuses what can't be
        self.sliders = {
            name: make(name, [getattr(business.but(**changes), name) for changes in self.changes.values()])
            for name in KNOBS
        }
        self.hidden: dict[str, float] = {}  # of a case: what no slider shows
        self.arrange(list(self.sliders.values()), {name: f"Set all sliders: {name}" for name in self.changes})

    @property
    def business(self) -> Business:
        return self.start.but(**self.hidden, **{name: slider.value for name, slider in self.sliders.items()})

    def set_case(self, name: str) -> str:
        wanted = self.start.but(**self.changes[name])
        self.hidden = {key: value for key, value in self.changes[name].items() if key not in KNOBS}
        for key, slider in self.sliders.items():
            slider.value = dict(slider.options)[short(getattr(wanted, key))]
        changed = ", ".join(f"{key} = {value:g}" for key, value in self.changes[name].items())
        return f"“{name}” changes {changed}." if changed else "The business of section 4, as it was."

    def pictures(self) -> tuple[Image.Image, Image.Image]:
        """The month against its pictures, and the stairs of a picture's cost."""
        return paint(month(self.business)), stairs(self.business)

    def answer(self) -> str:
        """The break-even volume in words."""
        try:
            pictures = self.business.break_even_images_per_month()
        except NeverBreaksEven:
            return "at no volume: an average picture costs more than it brings in"
        factor, name = scaled(pictures)
        return f"{pictures / factor:,.3g} {name}pictures a month"

    def table(self) -> str:
        now = self.business
        rows = (
            ("GPU time of a picture", f"{now.gpu_usd_per_image:.5f} USD"),
            ("GPUs that run", f"{now.gpus:,.3g}"),
            ("profit a month", money(now.profit_usd_per_month)),
            ("breaks even", self.answer()),
        )
        lines = (
            f'<tr><th scope="row" style="text-align:left;font-weight:normal">{name}</th>'
            f'<td style="padding-left:1em">{answer}</td></tr>'
            for name, answer in rows
        )
        return f'<table style="line-height:1.5;white-space:normal">{"".join(lines)}</table>'

    def show(self) -> None:
        """Display the widget; the still shows it as it is now."""
        now = self.business
        alt = (
            f"Economics sliders at {now.price_usd_per_image:g} USD a picture and {now.images_per_month:g} pictures a "
            f"month: revenue and cost lines over the number of pictures, and the parts of a paid picture's cost as "
            f"stairs against its price. Profit {money(now.profit_usd_per_month)} a month."
        )
        self.display(beside(*self.pictures()), alt)

"""The loss explorer: drag two beliefs, see both losses and how hard they push the logits."""

from __future__ import annotations

import math
from typing import NamedTuple

import ipywidgets as widgets
import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from gan_course import plots
from gan_course.arguments import checked
from gan_course.fonts import label
from gan_course.language import tr, tr_later
from gan_course.losses import LOSSES
from gan_course.widgets import controls
from gan_course.widgets.canvas import GREEN, LINE, PALE, PURPLE, SIDE, arrow, beside, blank, ink, text
from gan_course.widgets.charts import Chart, Curve, paint
from gan_course.widgets.panel import LOSS_NAMES, CasePanel

LOGITS = torch.linspace(-8, 8, 81)
CASES = {
    tr_later("the document's example"): (0.9, 0.1),
    tr_later("clueless"): (0.5, 0.5),
    tr_later("fake spotted"): (0.9, 0.001),
    tr_later("fooled"): (0.4, 0.9),
}
REMARKS = {
    "the document's example": tr_later(
        "The document says L_D ≈ 2.45. Read it off the table. Can it be worse than “clueless”?"
    ),
    "clueless": tr_later("A discriminator that knows nothing: L_D = 2 log 2 = 1.3863. Every useful one scores less."),
    "fake spotted": tr_later(
        "The generator is losing. Compare what the saturating and the non-saturating loss give it."
    ),
    "fooled": tr_later("The generated picture is believed, the real one is not. Who has to learn now?"),
}


class Push(NamedTuple):
    """Both losses at one pair of logits, and their gradients there."""

    d_loss: float
    g_loss: float
    d_real: float  # of the discriminator's loss by the real logit
    d_fake: float  # of the discriminator's loss by the generated logit
    g_fake: float  # of the generator's loss by the generated logit


def logit(belief: float) -> float:
    """The number whose sigmoid is ``belief``. Raises ``ValueError`` unless ``0 < belief < 1``."""
    if not 0 < belief < 1:
        raise ValueError(f"a belief lies between 0 and 1 but is {belief}: try 0.9")
    return math.log(belief / (1 - belief))


def push(loss: str, real_logit: float, fake_logit: float) -> Push:
    """Losses and gradients for one real and one generated sample."""
    pair = LOSSES[loss]
    real, fake = (torch.tensor([x], dtype=torch.float64, requires_grad=True) for x in (real_logit, fake_logit))
    d_loss, g_loss = pair.discriminator(real, fake), pair.generator(real, fake)
    d_real, d_fake = torch.autograd.grad(d_loss, (real, fake))
    (g_fake,) = torch.autograd.grad(g_loss, fake)
    return Push(d_loss.item(), g_loss.item(), d_real.item(), d_fake.item(), g_fake.item())


def curves(loss: str, real_logit: float) -> dict[str, Tensor]:
    """Losses and gradients over all generated ``LOGITS``: ``d``, ``g``, ``d_slope``, ``g_slope``, each ``[81]``."""
    pair, real, fake = LOSSES[loss], torch.tensor([real_logit]), LOGITS.clone().requires_grad_()
    found = {}
    for name, function in (("d", pair.discriminator), ("g", pair.generator)):
        values = torch.stack([function(real, one) for one in fake.split(1)])
        found[name] = values.detach()
        (found[f"{name}_slope"],) = torch.autograd.grad(values.sum(), fake)  # each value knows its own logit only
    return found


def axis(real_logit: float, fake_logit: float, found: Push) -> Image.Image:
    """The two logits on a line, and an arrow for each push: its length is the gradient's."""
    page = blank(SIDE, SIDE // 2)
    draw = ImageDraw.Draw(page)
    left, right, middle = 56, SIDE - 64, SIDE // 4 + 20

    def place(value: float) -> float:
        return left + (np.clip(value, -8, 8) + 8) / 16 * (right - left)

    text(draw, 10, 20, label("where a step down the gradient pushes"), size=28)
    draw.line((left, middle, right, middle), fill=ink(LINE), width=2)
    for value in range(-8, 9, 2):
        x = place(value)
        draw.line((x, middle - 6, x, middle + 6), fill=ink(LINE), width=2)
        text(draw, x, middle + 24, str(value), LINE, 24, "mm")
        if value % 4 == 0:
            digits = 4 if abs(value) > 4 else 2
            text(draw, x, middle + 54, f"D {1 / (1 + math.exp(-value)):.{digits}f}", LINE, 22, "mm")
    rows = (
        (label("D pushes real"), real_logit, found.d_real, plots.REAL, -46),
        (label("D pushes generated"), fake_logit, found.d_fake, plots.FAKE, -82),
        (label("G pushes generated"), fake_logit, found.g_fake, plots.FAKE, -118),
    )
    for name, at, gradient, colour, up in rows:
        x, y = place(at), middle + up
        edge = x - math.copysign(12, gradient)
        tip = float(np.clip(edge - gradient * (right - left) / 8, 6, SIDE - 6))  # a gradient of 1: two units
        draw.line((x, middle, x, y), fill=ink(PALE))
        arrow(draw, edge, y, tip, y)
        if colour == plots.REAL:  # discs are real and diamonds generated, as in GAN Lab
            draw.ellipse((x - 9, y - 9, x + 9, y + 9), fill=ink(colour))
        else:
            draw.polygon([(x - 11, y), (x, y - 11), (x + 11, y), (x, y + 11)], fill=ink(colour))
        free = min(x, tip) - 18 if x > SIDE / 2 else max(x, tip) + 18
        text(draw, free, y, name, size=26, anchor="rm" if x > SIDE / 2 else "lm")
    return page


class LossView(CasePanel):
    """The widget: ``real`` and ``fake`` are sliders, ``loss`` a menu."""

    name = tr_later("The loss explorer")

    @checked
    def __init__(self, d_real: float = 0.9, d_fake: float = 0.1):
        super().__init__()
        logit(d_real), logit(d_fake)  # refuses what is no belief
        belief = {"min": 0.001, "max": 0.999, "step": 0.001, "readout_format": ".3f"}
        self.real = controls.control(widgets.FloatSlider, "D(x), real", value=d_real, **belief)
        self.fake = controls.control(widgets.FloatSlider, "D(G(z)), fake", value=d_fake, **belief)
        self.loss = controls.menu("loss", LOSS_NAMES, "non_saturating")
        self.arrange((self.real, self.fake, self.loss), REMARKS)

    def set_case(self, name: str) -> str:
        self.real.value, self.fake.value = CASES[name]
        return REMARKS[name]

    def now(self) -> tuple[float, float, Push]:
        """The real logit, the generated one, and what the loss makes of them."""
        real, fake = logit(self.real.value), logit(self.fake.value)
        return real, fake, push(self.loss.value, real, fake)

    def pictures(self) -> tuple[Image.Image, Image.Image]:
        """The logits with their pushes, and the curves."""
        real, fake, found = self.now()
        all_, x = curves(self.loss.value, real), LOGITS.tolist()

        def chart(title: str, d: str, g: str, d_mark: float, g_mark: float) -> Chart:
            return Chart(
                title,
                (
                    Curve(label("discriminator"), x, all_[d].tolist(), GREEN),
                    Curve(label("generator"), x, all_[g].tolist(), PURPLE, dashed=True),
                ),
                x_name=label("logit of the generated sample"),
                marks=((fake, d_mark, GREEN), (fake, g_mark, PURPLE)),
            )

        return axis(real, fake, found), paint(
            chart(label("losses"), "d", "g", found.d_loss, found.g_loss),
            chart(label("gradient on the generated logit"), "d_slope", "g_slope", found.d_fake, found.g_fake),
        )

    def table(self) -> str:
        real, fake, found = self.now()
        rows = (
            ("", "L_D", "L_G"),
            (tr("loss"), f"{found.d_loss:.4f}", f"{found.g_loss:.4f}"),
            (tr("gradient on the real logit ({at:+.2f})").format(at=real), f"{found.d_real:+.4f}", ""),
            (
                tr("gradient on the generated logit ({at:+.2f})").format(at=fake),
                f"{found.d_fake:+.4f}",
                f"{found.g_fake:+.4f}",
            ),
        )
        cell = '<td style="text-align:right;padding-left:1em">{}</td>'
        lines = (
            f'<tr><th scope="row" style="text-align:left">{name}</th>{"".join(map(cell.format, numbers))}</tr>'
            for name, *numbers in rows
        )
        return f'<table style="line-height:1.5;white-space:normal">{"".join(lines)}</table>'

    def show(self) -> None:
        """Display the widget; the still shows it as it is now."""
        line, chart = self.pictures()
        tall = blank(line.width, chart.height)
        tall.paste(line, (0, (chart.height - line.height) // 2))
        _, _, found = self.now()
        alt = tr(
            "Loss explorer at D(x) = {real:g} and D(G(z)) = {fake:g}: L_D is {d_loss:.4f} and L_G is {g_loss:.4f}; "
            "arrows push the real logit up and pull at the generated one."
        ).format(real=self.real.value, fake=self.fake.value, d_loss=found.d_loss, g_loss=found.g_loss)
        self.display(beside(tall, chart), alt)

"""A business that sells pictures, in eleven parameters. Every name carries its unit.

The model: all pictures cost GPU time, only some of them are paid for, and some costs are there without any picture.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from gan_course.arguments import guard


class NeverBreaksEven(ValueError):
    """Each picture loses money, so that no number of them pays the fixed costs."""


@dataclass(frozen=True)
class Business:
    """What a picture service earns and pays. Raises ``ValueError`` with a sentence for what can't be.

    A GPU is paid for around the clock and busy for a share ``utilisation`` of it. ``free_share`` of all pictures are
    given away. Training is spread evenly over ``amortised_months``.
    """

    price_usd_per_image: float  # what a paid picture brings in
    images_per_month: float  # all of them, paid and free
    free_share: float  # from 0 to below 1
    steps: float  # sampling steps a picture, each with whatever guidance needs
    seconds_per_step: float
    other_seconds_per_image: float  # text encoder and decoder
    gpu_usd_per_hour: float
    utilisation: float  # above 0, at most 1
    fixed_usd_per_month: float  # wages, licences, lawyers, storage
    training_usd: float
    amortised_months: float

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if value < 0:
                raise ValueError(f"{field.name} can't be negative but is {value:g}: use 0 or more")
        if self.free_share >= 1:
            raise ValueError(f"free_share is {self.free_share:g}, so that nobody pays: keep it below 1")
        if not 0 < self.utilisation <= 1:
            raise ValueError(
                f"utilisation is {self.utilisation:g}: GPUs that are never busy make no picture, and none is busy more "
                "than always; choose a share above 0, up to 1"
            )
        if self.amortised_months <= 0:
            raise ValueError("amortised_months is 0: spread the training over at least one month")

    def but(self, **changes: float) -> Business:
        """The same business with some parameters changed."""
        return dataclasses.replace(self, **changes)

    # ---------------------------------------------------------------------------------------- costs

    @property
    def seconds_per_image(self) -> float:
        return self.steps * self.seconds_per_step + self.other_seconds_per_image

    @property
    def gpu_usd_per_image(self) -> float:
        """Of any picture, paid or free."""
        return self.seconds_per_image / 3600 * self.gpu_usd_per_hour / self.utilisation

    @property
    def gpu_usd_per_paid_image(self) -> float:
        """Of a paid picture with the free ones that it carries."""
        return self.gpu_usd_per_image / (1 - self.free_share)

    @property
    def fixed_total_usd_per_month(self) -> float:
        """What is to be paid without any picture: fixed costs and this month's part of the training."""
        return self.fixed_usd_per_month + self.training_usd / self.amortised_months

    @property
    def paid_images_per_month(self) -> float:
        return (1 - self.free_share) * self.images_per_month

    @property
    def gpus(self) -> float:
        """How many GPUs run around the clock, in a month of 30 days."""
        return self.images_per_month * self.seconds_per_image / (30 * 24 * 3600) / self.utilisation

    def total_usd_per_paid_image(self) -> float:
        """All costs of a month over its paid pictures. Raises ``ValueError`` where there are none."""
        if self.images_per_month == 0:
            raise ValueError("images_per_month is 0: fixed costs can't be spread over no pictures; ask for the profit")
        return self.gpu_usd_per_paid_image + self.fixed_total_usd_per_month / self.paid_images_per_month

    # ---------------------------------------------------------------------------------------- results

    @property
    def revenue_usd_per_month(self) -> float:
        return self.price_usd_per_image * self.paid_images_per_month

    @property
    def gpu_usd_per_month(self) -> float:
        return self.gpu_usd_per_image * self.images_per_month

    @property
    def profit_usd_per_month(self) -> float:
        return self.revenue_usd_per_month - self.gpu_usd_per_month - self.fixed_total_usd_per_month

    @property
    def margin_usd_per_image(self) -> float:
        """What an average picture, paid or free, leaves for the fixed costs. It may be negative."""
        return (1 - self.free_share) * self.price_usd_per_image - self.gpu_usd_per_image

    def break_even_images_per_month(self) -> float:
        """The number of pictures, paid and free, at which the profit is 0.

        Raises :class:`NeverBreaksEven` where a picture leaves nothing for the fixed costs.
        """
        if self.fixed_total_usd_per_month == 0 and self.margin_usd_per_image >= 0:
            return 0.0
        if self.margin_usd_per_image <= 0:
            raise NeverBreaksEven(
                f"an average picture brings in {(1 - self.free_share) * self.price_usd_per_image:.4f} USD and costs "
                f"{self.gpu_usd_per_image:.4f} USD of GPU time, so that no volume pays the fixed costs: raise the "
                "price, cut steps or the free tier, or keep the GPUs busier"
            )
        return self.fixed_total_usd_per_month / self.margin_usd_per_image


class Swing(NamedTuple):
    """What one parameter does to a result while all others stay: one bar of a tornado."""

    name: str
    low: float  # the parameter's ends
    high: float
    at_low: float  # the result there
    at_high: float

    @property
    def width(self) -> float:
        return abs(self.at_high - self.at_low)


def tornado(
    business: Business, ranges: Mapping[str, tuple[float, float]], result: Callable[[Business], float]
) -> list[Swing]:
    """One parameter at a time from end to end of its range, the widest swing of ``result`` first.

    Raises ``ValueError`` for an unknown parameter and for a range upside down.
    """
    known = [field.name for field in dataclasses.fields(business)]
    swings = []
    for name, (low, high) in ranges.items():
        if name not in known:
            raise ValueError(f"a business has no parameter {name!r}: choose from {', '.join(known)}")
        if low > high:
            raise ValueError(f"the range of {name} goes from {low:g} down to {high:g}: exchange its ends")
        swings.append(Swing(name, low, high, *(result(business.but(**{name: end})) for end in (low, high))))
    return sorted(swings, key=lambda swing: -swing.width)


guard(__name__)

"""What chapter 14 computes with: tables of facts, a business in a few parameters, the operations of a network."""

from gan_course.costs.economics import Business, NeverBreaksEven, tornado
from gan_course.costs.facts import STATUS, TABLES, Fact, listing, load, number, period, pick, sources
from gan_course.costs.operations import count_operations

__all__ = [
    "STATUS",
    "TABLES",
    "Business",
    "Fact",
    "NeverBreaksEven",
    "count_operations",
    "listing",
    "load",
    "number",
    "period",
    "pick",
    "sources",
    "tornado",
]

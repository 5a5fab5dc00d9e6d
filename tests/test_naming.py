"""The nearest known name."""

from gan_course.naming import nearest


def test_the_nearest_name_is_offered_and_all_are_told():
    known = {"hinge": 1, "wasserstein": 2}
    assert nearest("hinges", known) == "did you mean 'hinge'? Known: hinge, wasserstein"
    assert nearest("WASSERSTEIN", known) == "did you mean 'wasserstein'? Known: hinge, wasserstein"
    assert nearest("Hinge", ["Hinge"]) == "did you mean 'Hinge'? Known: Hinge"
    assert nearest("zzz", known) == nearest(7, known) == "Known: hinge, wasserstein"
    assert nearest("x", []) == "Known: none"

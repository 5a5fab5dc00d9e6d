"""The fast painter: the right pixels in the right place, every layer to be seen, nothing that breaks it."""

import io
import math

import numpy as np
import pytest
import torch
from PIL import Image

from gan_course import plots
from gan_course.widgets import canvas, charts, picture
from gan_course.widgets.lab import EXTENT, Knobs, Lab


def rgb(canvas):
    return np.array(canvas.convert("RGB"))


def colour(name):
    return [int(name[i : i + 2], 16) for i in (1, 3, 5)]


def at(painted, x, y):
    """The colour at a place of the plane."""
    column, row = picture.to_pixels(np.array([x, y])).round().astype(int)
    return rgb(painted)[row, column].tolist()


@pytest.fixture(scope="module")
def played():
    lab = Lab(Knobs(prior="uniform"))
    lab.step(60)
    return lab


def test_the_plane_is_the_right_way_up():
    painted = picture.plane(picture.View(real=np.array([[1.0, 1.0]]), fake=np.array([[1.0, -1.0]])))
    assert at(painted, 1, 1) == colour(plots.REAL)
    assert at(painted, 1, -1) == colour(plots.FAKE)
    assert at(painted, -1, 1) == at(painted, -1, -1) == [255, 255, 255]
    assert rgb(painted).shape == (canvas.SIDE, canvas.SIDE, 3)


def test_the_belief_is_that_of_the_discriminator_and_the_right_way_up():
    class Upper:  # sure that the upper left is real
        knobs, watched, real = Knobs(), torch.zeros(1, 2), torch.zeros(1, 2)

        class game:
            generator = staticmethod(lambda z: z)
            discriminator = staticmethod(lambda x: 20 * (x[:, 1] - x[:, 0]))

    painted = picture.plane(picture.look(Upper, ["belief"]))
    wanted = (plots.BELIEF([0.0, 1.0])[:, :3] * 255).round()
    for place, belief in (((-1, 1), 1), ((1, -1), 0)):
        np.testing.assert_allclose(at(painted, *place), wanted[belief], atol=6)


def test_every_layer_shows_and_hides(played):
    def paint(*layers):
        return rgb(picture.plane(picture.look(played, layers)))

    bare = paint()
    for layer in ("real", "generated", "belief", "arrows", "grid"):
        assert (paint(layer) != bare).any(), layer
    everything = paint(*picture.LAYERS)
    for layer in ("real", "generated", "belief", "arrows", "grid"):
        assert (paint(*[name for name in picture.LAYERS if name != layer]) != everything).any(), layer


@pytest.mark.parametrize("loss", ["non_saturating", "hinge", "relativistic"])
def test_pushes_are_downhill_for_the_generators_loss_by_finite_differences(loss):
    lab = Lab(Knobs(loss=loss))
    lab.step(20)
    points = lab.points()[:5]
    push = picture.pushes(lab, points)
    lab.game.discriminator.double()
    pair, real = picture.LOSSES[loss], lab.game.discriminator(lab.real[:5].double())

    def value(points, i):
        logits = lab.game.discriminator(points)
        return pair.generator(real[i : i + 1], logits[i : i + 1]).item()

    for i in range(5):
        for axis in range(2):
            step = torch.zeros(5, 2, dtype=torch.float64)
            step[i, axis] = 1e-5
            slope = (value(points.double() + step, i) - value(points.double() - step, i)) / 2e-5
            assert push[i, axis].item() == pytest.approx(-slope, abs=1e-3)


@pytest.mark.parametrize("prior, dim", [("normal", 2), ("uniform", 2), ("normal", 1), ("uniform", 1)])
def test_the_net_in_the_noise_has_equally_likely_cells(prior, dim):
    net = picture.latent_lines(prior, dim)
    assert net.shape[2] == dim and net.isfinite().all()
    normal = torch.distributions.Normal(0, 1)
    shares = normal.cdf(net) if prior == "normal" else (net + 1) / 2
    gaps = shares[0, 1:, -1] - shares[0, :-1, -1]
    assert gaps.std() < 1e-5 and shares.min() == pytest.approx(0.01, abs=1e-4)


def test_points_that_are_no_numbers_or_far_away_do_no_harm():
    wild = np.array([[math.nan, 0.0], [math.inf, -math.inf], [1e30, 2.0], [0.0, 0.0]], dtype=np.float32)
    view = picture.View(
        belief=np.full((36, 36), math.nan), grid=wild[None], real=wild, fake=wild,
        arrows=np.stack([wild, wild[::-1]], axis=1), before=wild, title="step 1",
    )  # fmt: skip
    assert rgb(picture.plane(view)).shape == (canvas.SIDE, canvas.SIDE, 3)


def test_the_png_is_small_indexed_and_the_same_picture(played):
    painted = picture.plane(picture.look(played, picture.LAYERS, "step 60"))
    data = canvas.png(painted)
    assert data.startswith(b"\x89PNG") and len(data) < 120_000
    read = Image.open(io.BytesIO(data))
    assert read.mode == "P"
    np.testing.assert_array_equal(rgb(read), rgb(painted))


def test_charts_draw_curves_where_their_values_are():
    flat = charts.Chart("flat", [charts.Curve("one", [0, 10], [0.5, 0.5], canvas.GREEN)], y_range=(0.0, 1.0))
    painted = charts.paint(flat)
    rows, columns = np.nonzero((rgb(painted) == colour(canvas.GREEN)).all(axis=2))
    line = rows[columns > canvas.SIDE // 2]
    assert line.std() < 2  # a level line
    low = charts.paint(flat._replace(curves=[flat.curves[0]._replace(y=[0.1, 0.1])]))
    below, where = np.nonzero((rgb(low) == colour(canvas.GREEN)).all(axis=2))
    assert below[where > canvas.SIDE // 2].mean() > line.mean() + 100  # smaller is lower


def test_charts_of_nothing_and_of_no_numbers():
    empty = charts.Chart("empty", [charts.Curve("none", [], [], plots.REAL)])
    broken = charts.Chart("broken", [charts.Curve("some", [1, 2, 3], [0.0, math.nan, math.inf], plots.FAKE)])
    single = charts.Chart("one", [charts.Curve("dot", [5], [1.0], plots.REAL, dashed=True)])
    assert rgb(charts.paint(empty, broken, single)).shape == (canvas.SIDE, canvas.SIDE, 3)


@pytest.mark.parametrize(
    "low, high, wanted",
    [(0, 1, (0, 1, 0.25)), (-0.13, 0.1, (-0.2, 0.1, 0.1)), (0, 7.9, (0, 8, 2)), (0, 8.1, (0, 10, 5))],
)
def test_nice_ranges(low, high, wanted):
    assert charts.nice(low, high) == pytest.approx(wanted)


def test_real_and_generated_differ_in_more_than_colour():
    disc, diamond = (
        set(zip(*map(np.ndarray.tolist, picture.stamp(shape, 6)), strict=True)) for shape in ("disc", "diamond")
    )
    assert diamond < disc  # corners that a disc fills are empty in a diamond


def test_the_extent_is_that_of_the_measures():
    corner = picture.to_pixels(np.array([[-EXTENT, EXTENT], [EXTENT, -EXTENT]]))
    np.testing.assert_allclose(corner, [[0, 0], [canvas.SIDE, canvas.SIDE]])

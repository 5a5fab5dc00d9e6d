"""Figures: alternative text, exact pixels, the right way up."""

import io
import sys

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.image import imread
from matplotlib.quiver import Quiver

from bench import cells
from gan_course import plots
from gan_course.data.attributes import Attributes
from gan_course.data.glyphs import colour_glyphs

ALT = "An empty figure that the tests draw."


def test_mime_bundle_holds_a_png_and_its_alternative_text():
    figure, _ = plots.new_figure(size=(2, 1))
    data, metadata = plots.mime_bundle(figure, ALT, dpi=50)
    assert imread(io.BytesIO(data["image/png"])).shape == (100, 200, 4)  # two pixels for each of the page's
    assert data["text/plain"] == ALT
    assert metadata == {"image/png": {"alt": ALT, "width": 100}}
    quick, _ = plots.mime_bundle(figure, ALT, dpi=50, quick=True)
    assert imread(io.BytesIO(quick["image/png"])).shape == (50, 100, 4)


def test_a_photograph_keeps_its_colours_and_a_drawing_its_edges():
    figure, ax = plots.new_figure(size=(2, 1))
    assert set(plots.mime_bundle(figure, ALT, photograph=True)[0]) == {"image/png", "text/plain"}
    sky = np.linspace([60, 90, 160], [210, 230, 255], 200)[:, None].repeat(400, axis=1)
    sky += np.random.default_rng(0).normal(0, 4, sky.shape)  # no two neighbours alike, as in a photograph
    figure, ax = plots.new_figure(size=(2, 1))
    ax.imshow(sky.clip(0, 255).astype(np.uint8), aspect="auto")
    data, metadata = plots.mime_bundle(figure, ALT, photograph=True)
    assert metadata == {"image/jpeg": {"alt": ALT, "width": 180}}
    palette = plots.mime_bundle(figure, ALT)[0]["image/png"]
    assert len(data["image/jpeg"]) < len(palette)
    few, all_ = (
        len(np.unique(imread(io.BytesIO(x), format=f).reshape(-1, 3 + (f == "png")), axis=0))
        for x, f in ((palette, "png"), (data["image/jpeg"], "jpeg"))
    )
    assert few <= 256 < all_ / 4


@pytest.mark.parametrize("alt", ["", "figure", "x" * 19])
def test_too_short_alternative_text(alt):
    figure, _ = plots.new_figure()
    with pytest.raises(ValueError, match=f"^alt='{alt}' is too short: say in a sentence what the figure shows$"):
        plots.show(figure, alt)


def test_alternative_text_is_not_optional():
    with pytest.raises(TypeError, match="alt"):
        plots.show(plots.new_figure()[0])


def test_show_is_silent_outside_a_notebook_and_closes_a_pyplot_figure(capsys):
    assert not plots.in_notebook()
    kept, _ = plt.subplots()
    figure, _ = plt.subplots()
    plots.show(figure, ALT)
    assert plt.get_fignums() == [kept.number]  # that one closed, no other
    plt.close(kept)
    plots.show(plots.new_figure()[0], ALT)  # one that pyplot never heard of
    assert capsys.readouterr() == ("", "")


def test_in_notebook_needs_a_kernel(monkeypatch):
    class Shell:
        kernel = None

    ipython = type(sys)("IPython")
    ipython.get_ipython = Shell  # the IPython terminal: a shell without a kernel
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    assert not plots.in_notebook()
    Shell.kernel = object()
    assert plots.in_notebook()


def test_new_figure_knows_nothing_of_pyplot():
    figure, axes = plots.new_figure(2, 3, size=(1.5, 1.0))
    assert axes.shape == (2, 3)
    assert figure.get_size_inches().tolist() == [4.5, 2.0]
    assert plt.get_fignums() == []


# ---------------------------------------------------------------------------------------------- pictures


def test_tile_grey():
    """Three 2x3 pictures in two columns: 5 rows and 7 columns of pixels, white gaps, a white fourth place."""
    images = torch.stack([torch.full((1, 2, 3), v) for v in (-1.0, 0.0, 0.5)])
    o, h, q, w = 0.0, 0.5, 0.75, 1.0
    wanted = [
        [o, o, o, w, h, h, h],
        [o, o, o, w, h, h, h],
        [w, w, w, w, w, w, w],
        [q, q, q, w, w, w, w],
        [q, q, q, w, w, w, w],
    ]
    np.testing.assert_array_equal(plots.tile(images, columns=2), np.array(wanted, dtype=np.float32)[..., None])


def test_tile_colour_keeps_channels_rows_and_columns_apart():
    images = torch.linspace(-1, 1, 2 * 3 * 2 * 2).reshape(2, 3, 2, 2)
    canvas = plots.tile(images, columns=2)
    assert canvas.shape == (2, 5, 3)
    for n in range(2):
        for c in range(3):
            for y in range(2):
                for x in range(2):
                    assert canvas[y, 3 * n + x, c] == pytest.approx((images[n, c, y, x].item() + 1) / 2)
    assert (canvas[:, 2] == 1).all()


def test_tile_clamps_and_needs_no_detached_tensor():
    canvas = plots.tile(torch.tensor([-3.0, 3.0], requires_grad=True).reshape(2, 1, 1, 1), columns=2)
    assert canvas.ravel().tolist() == [0, 1, 1]


def test_pictures_from_0_to_1_are_refused_and_a_white_digit_on_grey_is_not():
    for seed in range(40):
        plots.tile(colour_glyphs([Attributes("3", "white", "grey")], seed).images, 1)
    sure = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    for images in (sure, torch.cat([sure[:1], torch.zeros(1, 3, 8, 8)]), (255 * sure[:1]).floor() / 255):
        images = images - images.min()
        with pytest.raises(ValueError, match=r"go from 0 to .*: multiply by 2 and subtract 1"):
            plots.tile(images, 2)


@pytest.mark.parametrize("channels", [1, 3])
def test_image_grid_shows_the_tiles(channels):
    images = torch.rand(5, channels, 4, 4) * 2 - 1
    figure = plots.image_grid(images, columns=3, title="five", width=3)
    (ax,) = figure.axes
    (shown,) = ax.get_images()
    np.testing.assert_array_equal(shown.get_array().reshape(9, 14, channels), plots.tile(images, 3))
    assert ax.get_title() == "five" and figure.get_size_inches()[0] == 3
    assert shown.norm.vmin == 0 and shown.norm.vmax == 1  # a dark picture stays dark
    plots.show(figure, ALT)


def test_filmstrip_puts_each_grid_under_its_name():
    frames = {f"step {n}": torch.full((4, 1, 2, 2), n / 10) for n in (0, 5, 9)}
    figure = plots.filmstrip(frames, columns=2, title="training")
    assert [ax.get_title() for ax in figure.axes] == list(frames)
    shown = [ax.get_images()[0].get_array()[0, 0] for ax in figure.axes]
    assert shown == pytest.approx([0.5, 0.75, 0.95])
    plots.show(figure, ALT)


@pytest.mark.parametrize("count, columns", [(16, 4), (3, 3), (6, 3), (12, 2)])
@pytest.mark.parametrize("title", ["", "training"])
def test_a_filmstrip_leaves_no_blank_half(count, columns, title):
    """Grids of any number of rows fill the figure: what is left of its height are titles and their margins."""
    figure = plots.filmstrip({name: torch.zeros(count, 1, 8, 8) for name in "abc"}, columns=columns, title=title)
    figure.canvas.draw()
    pictures = [ax.get_window_extent() for ax in figure.axes]
    width, height = figure.canvas.get_width_height()
    assert sum(box.width for box in pictures) > 0.85 * width
    assert height - pictures[0].height < (0.8 if title else 0.5) * figure.dpi
    assert pictures[0].y0 < 0.2 * figure.dpi  # hardly anything blank below


def test_a_name_wider_than_its_grid_goes_on_in_a_second_line():
    pictures = {name: torch.zeros(1, 3, 8, 8) for name in ("absolute error, longer", "with discriminator", "by\nhand")}
    narrow = plots.filmstrip(pictures, 1, size=1.0)
    assert [ax.get_title() for ax in narrow.axes] == ["absolute\nerror,\nlonger", "with\ndiscriminator", "by\nhand"]
    assert list(cells.collisions(narrow)) == []
    narrower = plots.filmstrip({name: torch.zeros(1, 1, 8, 8) for name in ("photograph", "drawing")}, 1, size=0.75)
    assert narrower.axes[0].title.get_fontsize() < 10 and list(cells.collisions(narrower)) == []
    figure, axes = plots.new_figure(1, 2, size=(0.9, 1.2))
    for ax, name in zip(axes, pictures, strict=False):
        plots.draw_images(ax, pictures[name], title=name)
    faults = list(cells.collisions(figure))
    assert "'absolute error, longer' and 'with discriminator' cover each other" in faults
    assert "'with discriminator' is cut off" in faults


def test_a_legend_without_a_frame_on_a_curve_is_reported():
    figure, ax = plots.new_figure()
    ax.plot([0, 1], [0, 1], label="rising")
    ax.legend(loc="upper right", frameon=False)
    assert list(cells.collisions(figure)) == ["the legend's 'rising' lies on a curve"]
    for choice in ({"loc": "lower right", "frameon": False}, {"loc": "upper right"}):
        ax.legend(**choice)
        assert list(cells.collisions(figure)) == []


# ---------------------------------------------------------------------------------------------- curves


@pytest.mark.parametrize("count, window", [(1, 25), (10, 5), (40, 25), (25, 25), (30, 1)])
def test_smooth_is_the_mean_of_the_neighbours(count, window):
    values = np.random.default_rng(0).normal(size=count)
    half = window // 2 if window <= count else 0
    wanted = [values[max(0, i - half) : i + half + 1].mean() for i in range(count)]
    np.testing.assert_allclose(plots.smooth(values.tolist(), window), wanted, rtol=1e-10)


@pytest.mark.parametrize("count, window", [(7, 25), (20, 6), (3, 2)])
def test_smooth_keeps_length_range_and_a_constant(count, window):
    values = np.random.default_rng(0).normal(size=count)
    smooth = plots.smooth(values, window)
    assert smooth.shape == (count,)
    assert values.min() <= smooth.min() and smooth.max() <= values.max()
    np.testing.assert_allclose(plots.smooth([3.0] * count, window), 3.0)


def test_losses_can_be_drawn_before_the_first_step_and_after():
    for log in (
        {"step": [], "d_loss": [], "g_loss": []},
        {"step": [10, 20, 30], "d_loss": [1.0, 3.0, 2.0], "g_loss": [0.7, 0.6, 0.5]},
    ):
        figure, ax = plots.new_figure()
        plots.draw_losses(ax, log)
        assert [t.get_text() for t in ax.get_legend().get_texts()] == ["discriminator", "generator"]
        raw = [line.get_ydata() for line in ax.lines if line.get_alpha() == 0.2]
        assert [list(r) for r in raw] == [log["d_loss"], log["g_loss"]]
        (dotted,) = [line for line in ax.lines if line.get_linestyle() == ":"]
        assert dotted.get_ydata()[0] == pytest.approx(1.3862943611)
        plots.show(figure, ALT)


# ---------------------------------------------------------------------------------------------- the plane


def test_plane_goes_row_by_row_from_the_lower_left():
    grid = plots.plane(extent=2, side=3)
    wanted = [[-2, -2], [0, -2], [2, -2], [-2, 0], [0, 0], [2, 0], [-2, 2], [0, 2], [2, 2]]
    assert grid.tolist() == wanted


@pytest.mark.parametrize("axis, real_at, fake_at", [(0, (1.4, -1.2), (-1.4, 1.2)), (1, (-1.2, 1.4), (1.2, -1.4))])
def test_belief_is_drawn_the_right_way_up(axis, real_at, fake_at):
    """A discriminator that says "real" only beyond 1 on one axis: blue there, orange on the other side."""
    figure, ax = plots.new_figure(size=(3, 3))
    drawn = plots.draw_belief(ax, lambda points: 100 * (points[:, axis] - 1))
    belief = np.asarray(drawn.get_array())
    beyond = belief if axis == 0 else belief.T
    assert (beyond[:, -5:] > 0.99).all() and (beyond[:, :40] < 0.01).all()

    figure.canvas.draw()
    pixels = np.asarray(figure.canvas.buffer_rgba()).astype(int)

    def colour(point):
        x, y = ax.transData.transform(point)
        return pixels[len(pixels) - 1 - int(y), int(x), :3]

    red, _, blue = colour(real_at)
    assert blue > red + 50
    red, _, blue = colour(fake_at)
    assert red > blue + 50


def test_belief_needs_no_gradients_from_a_network():
    _, ax = plots.new_figure()
    drawn = plots.draw_belief(ax, torch.nn.Sequential(torch.nn.Linear(2, 1), torch.nn.Flatten(0)), side=7)
    assert drawn.get_array().shape == (7, 7)


def test_points_are_blue_for_real_and_orange_for_generated():
    _, ax = plots.new_figure()
    real, fake = torch.tensor([[0.5, -0.25]]), torch.tensor([[-1.0, 1.0], [0.0, 0.0]], requires_grad=True)
    plots.draw_points(ax, real, fake, extent=2)
    first, second = ax.collections
    assert first.get_offsets().tolist() == [[0.5, -0.25]] and second.get_offsets().tolist() == [[-1, 1], [0, 0]]
    assert first.get_facecolor()[0, 2] > first.get_facecolor()[0, 0]
    assert second.get_facecolor()[0, 0] > second.get_facecolor()[0, 2]
    assert ax.get_xlim() == ax.get_ylim() == (-2, 2)


def test_the_longest_arrow_has_the_given_length():
    _, ax = plots.new_figure()
    directions = torch.tensor([[3.0, 4.0], [0.0, 1.0], [0.0, 0.0]])
    plots.draw_arrows(ax, torch.zeros(3, 2), directions, length=0.5)
    (arrows,) = [c for c in ax.collections if isinstance(c, Quiver)]
    np.testing.assert_allclose(np.stack([arrows.U, arrows.V], 1), [[0.3, 0.4], [0, 0.1], [0, 0]], atol=1e-6)
    plots.draw_arrows(ax, torch.zeros(2, 2), torch.zeros(2, 2))  # no slope anywhere: no division by zero


def test_flowchart_draws_every_box_and_arrow():
    boxes = {"z": (0, 0, "noise"), "fake": (1, 0, "G(z)"), "loss": (2, 0, "loss"), "real": (1, 1, "x")}
    arrows = [("z", "fake", ""), ("fake", "loss", "logit"), ("real", "loss", ""), ("loss", "z", "gradient")]
    figure = plots.flowchart(boxes, arrows, title="A game")
    (ax,) = figure.axes
    texts = [t.get_text() for t in ax.texts]
    assert [t for t in texts if t] == ["noise", "G(z)", "loss", "x", "logit", "gradient"]
    assert sum(t.arrow_patch is not None for t in ax.texts if hasattr(t, "arrow_patch")) == len(arrows)
    assert ax.get_title() == "A game"
    plots.show(figure, ALT)

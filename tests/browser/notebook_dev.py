import nbformat

DEV = {
    "01": ["widgets.gan_lab()"],
    "02": ["widgets.loss_explorer()"],
    "07": [
        "from gan_course import data, diffusion, networks\nfrom gan_course.live import LiveView\ndataset=data.load('glyphs', count=2000)\ntorch.manual_seed(0)\nnetwork=networks.DiffusionUNet(10)\nSTEPS=800; average=network",
        "widgets.diffusion_explorer(network, dataset, {'linear': diffusion.linear_betas, 'cosine': diffusion.cosine_betas}, 'linear')",
        "import time\nwith LiveView(STEPS) as view:\n    for step in range(1, STEPS+1):\n        for p in network.parameters(): p.data += 1e-6\n        time.sleep(.02); view.update(step, 'loss 1')",
    ],
    "08": ["from gan_course import latent\nwidgets.prompt_bench(latent.load_pipeline())"],
}


def trim(path, number):
    nb = nbformat.read(path, 4)
    first = "from gan_course import widgets\nimport torch; torch.set_num_threads(1)"
    nb.cells = [nbformat.v4.new_code_cell(c) for c in [first, *DEV[number]]]
    nbformat.write(nb, path)

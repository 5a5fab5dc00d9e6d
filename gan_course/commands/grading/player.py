"""Runs inside of the sandbox: a student's cells first, then calls of the student's functions.

Started as ``python -I player.py COURSE IN OUT USER``: the folder that holds the course without its checks, the numbers
of two pipes, and which user to become, if any. Requests arrive on one pipe, answers leave on the other. Whatever the
student's code does to this process, it can only change the answers; who asks judges them.
"""

from __future__ import annotations

import ast
import linecache
import os
import pickle
import random
import sys
import traceback
from typing import Any

if sys.argv[4] != "-":
    os.setgroups([])
    os.setgid(int(sys.argv[4]))
    os.setuid(int(sys.argv[4]))
sys.path[:0] = [sys.argv[1], os.path.dirname(os.path.abspath(__file__))]

import numpy as np  # noqa: E402
import torch  # noqa: E402
import wire  # noqa: E402
from cells import choose, look, shells, without_magics  # noqa: E402
from torch import Tensor, nn  # noqa: E402

KEPT = 64  # calls whose gradients can still be asked for


class Player:
    def __init__(self) -> None:
        self.names: dict[str, Any] = {"__name__": "__main__", "display": print, "get_ipython": lambda: None}
        self.graphs: dict[int, tuple[list[Tensor], list[Tensor]]] = {}  # call → (inputs, outputs)
        self.networks: list[nn.Module] = []
        self.source, self.sink = os.fdopen(int(sys.argv[2]), "rb"), int(sys.argv[3])

    def send(self, head: dict[str, Any], buffers: list[bytes] | None = None) -> None:
        view = memoryview(wire.pack(head, buffers or []))
        while view:
            view = view[os.write(self.sink, view) :]

    def read(self, count: int) -> bytes:
        found = self.source.read(count)
        if len(found) < count:
            os._exit(0)  # whoever asked is gone
        return found

    def serve(self) -> None:
        torch.set_num_threads(1)
        head, _ = wire.unpack(self.read, 1 << 30)
        limit(**head["limits"])
        self.start(head["cells"], set(head["names"]), set(head["skip"]))
        while True:
            head, buffers = wire.unpack(self.read, 1 << 30)
            try:
                reply, made = getattr(self, f"do_{head['do']}")(head, buffers)
            except BaseException as error:
                reply, made = failure(error), []
            self.send({**reply, "call": head["call"]}, made)

    # -------------------------------------------------------------------------------------- the cells

    def start(self, cells: list[str], wanted: set[str], skip: set[int]) -> None:
        """Run what defines the ``wanted`` names: the cells that do, whole, and of the others what those need."""
        trees, faults = {}, []
        for number, source in enumerate(cells):
            try:
                trees[number] = ast.parse(without_magics(source))
            except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
                text = f"{type(error).__name__}: {getattr(error, 'msg', error)}"
                if any(f"def {name}(" in source for name in wanted):
                    faults.append([number, text[:300]])
        remarks = sorted(
            {r for number, tree in trees.items() for r in look(tree, number)}
            | {r for number, source in enumerate(cells) for r in shells(source, number)}
        )
        self.send({"step": "read", "remarks": remarks[:50], "faults": faults})
        for number, body in choose(trees, wanted).items():
            if number in skip:
                continue
            self.send({"step": "cell", "cell": number})
            name = f"<cell {number + 1}>"
            linecache.cache[name] = (len(cells[number]), None, without_magics(cells[number]).splitlines(True), name)
            try:
                exec(compile(ast.Module(body, []), name, "exec"), self.names)
            except BaseException as error:
                faults.append([number, f"{type(error).__name__}: {text_of(error)}"])
        kinds = {name: "function" if callable(self.names[name]) else "value" for name in wanted & self.names.keys()}
        self.send({"step": "ready", "faults": faults[:50], "defined": kinds})

    # -------------------------------------------------------------------------------------- requests

    def do_call(self, head: dict[str, Any], buffers: list[bytes]) -> tuple[dict[str, Any], list[bytes]]:
        """Call one of the student's functions; give its result, and what has become of its arguments."""
        values = pickle.loads(buffers[0])
        before = [remember(value) for value in values]
        inputs = wire.differentiable(values)
        torch.set_grad_enabled(True)
        torch.set_default_dtype(torch.float32)
        torch.manual_seed(head["seed"])
        np.random.seed(head["seed"])  # noqa: NPY002
        random.seed(head["seed"])
        function = self.names[head["name"]]
        try:
            result = function(*values)
        except BaseException as error:
            return failure(error, getattr(getattr(function, "__code__", None), "co_filename", "")), []
        encoder = wire.Encoder(self.describe)
        node = encoder.node(result)
        self.keep(head["call"], inputs, encoder.live)
        states = [become(encoder, v, b) for v, b in zip(values, before, strict=True)]
        return {"result": node, "states": states, "outputs": len(encoder.live)}, encoder.buffers

    def do_origin(self, head: dict[str, Any], buffers: list[bytes]) -> tuple[dict[str, Any], list[bytes]]:
        """Where in a call a number that is none arises: the request brings the function that looks."""
        find, values, kind = pickle.loads(buffers[0])
        return {"text": str(find(self.names[head["name"]], values, kind))[:500]}, []

    def do_forward(self, head: dict[str, Any], buffers: list[bytes]) -> tuple[dict[str, Any], list[bytes]]:
        """Run a network that one of the student's functions has made, with the state that the request brings."""
        network = self.networks[head["network"]]
        values, tensors, modes, recorded = pickle.loads(buffers[0])
        put(network, tensors, modes)
        seen: dict[str, list[Any]] = {}
        modules = dict(network.named_modules())

        def hear(name: str) -> Any:
            def hook(module: nn.Module, given: Any, made: Any) -> None:
                seen.setdefault(name, [list(given), made])

            return hook

        hooks = [modules[name].register_forward_hook(hear(name)) for name in recorded]
        inputs = wire.differentiable(values) + [p for p in network.parameters() if p.requires_grad]
        try:
            with torch.set_grad_enabled(head["grad"]):
                result = network(*values)
        finally:
            for hook in hooks:
                hook.remove()
        encoder = wire.Encoder(self.describe)
        node = encoder.node(result)
        self.keep(head["call"], inputs, encoder.live)
        reply = {"result": node, "outputs": len(encoder.live)}
        plain = {name: [[v.detach() for v in given], made.detach()] for name, (given, made) in seen.items()}
        reply["seen"] = encoder.node(plain)
        reply["state"] = encoder.node({n: t.detach() for n, t in tensors_of(network).items()})
        return reply, encoder.buffers

    def do_gradient(self, head: dict[str, Any], buffers: list[bytes]) -> tuple[dict[str, Any], list[bytes]]:
        """d(outputs of an earlier call)/d(its inputs), for gradients of the outputs that the request brings."""
        inputs, outputs = self.graphs[head["of"]]
        given = pickle.loads(buffers[0])
        pairs = [(o, g) for o, g in zip(outputs, given, strict=True) if g is not None and o.requires_grad]
        made = torch.autograd.grad(
            [o for o, _ in pairs], inputs, [g for _, g in pairs], retain_graph=True, allow_unused=True
        )
        encoder = wire.Encoder()
        return {"result": encoder.node([None if g is None else g.detach() for g in made])}, encoder.buffers

    def keep(self, call: int, inputs: list[Tensor], outputs: list[Tensor]) -> None:
        self.graphs[call] = (inputs, list(outputs))
        self.graphs.pop(call - KEPT, None)

    def describe(self, network: nn.Module, encoder: wire.Encoder) -> wire.Node:
        """The network's tree of modules, its parameters and its modes. Its forward stays here."""
        places = {id(n): i for i, n in enumerate(self.networks)}
        if id(network) not in places:
            places[id(network)] = len(self.networks)
            self.networks.append(network)

        def tree(module: nn.Module) -> wire.Node:
            kind = type(module)
            known = kind.__module__.startswith("torch.nn.modules.") and getattr(nn, kind.__name__, None) is kind
            plain = {k: v for k, v in vars(module).items() if isinstance(v, bool | int | float | str) and k[0] != "_"}
            return {
                "known": known,
                "name": kind.__name__[:100],
                "plain": encoder.node(plain),
                "parameters": {
                    n: [id(p), p.requires_grad, encoder.node(p.detach())]
                    for n, p in module.named_parameters(recurse=False)
                },
                "buffers": {n: encoder.node(b.detach()) for n, b in module.named_buffers(recurse=False)},
                "children": {n: tree(child) for n, child in module.named_children()},
            }

        return {"kind": "network", "place": places[id(network)], "tree": tree(network)}


# ------------------------------------------------------------------------------------------ around a call


def limit(memory: int, processes: int, file: int, seconds: int) -> None:
    """Bytes of memory on top of what PyTorch takes, processes and threads (0: any), bytes of a file, processor seconds.

    Linux counts memory and, for a user of the sandbox's own, processes; elsewhere the watcher outside has to do.
    """
    import resource

    def at_most(kind: int, value: int) -> None:
        hard = resource.getrlimit(kind)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (value, value))

    if sys.platform == "linux":
        with open("/proc/self/statm") as statm:
            taken = int(statm.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        at_most(resource.RLIMIT_AS, taken + memory)
        if processes:
            at_most(resource.RLIMIT_NPROC, processes)
    at_most(resource.RLIMIT_FSIZE, file)
    at_most(resource.RLIMIT_CORE, 0)
    at_most(resource.RLIMIT_CPU, seconds)
    at_most(resource.RLIMIT_NOFILE, 256)


def text_of(error: BaseException) -> str:
    try:
        return str(error).strip().split("\n")[0][:1000]
    except BaseException:
        return "(without a text)"


def failure(error: BaseException, file: str = "") -> dict[str, Any]:
    """What is known about an exception of the student's code: type, text, and the line of ``file`` that raised it."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.line for frame in frames if file and frame.filename == file]
    return {
        "error": type(error).__name__[:100],
        "text": text_of(error),
        "line": (lines[-1] or "")[:300] if lines else "",
        "within": frames[-1].name if frames else "",
        "stub": isinstance(error, NotImplementedError) and not text_of(error),
    }


def tensors_of(network: nn.Module) -> dict[str, Tensor]:
    return {**dict(network.named_parameters()), **dict(network.named_buffers())}


def put(network: nn.Module, tensors: dict[str, Tensor], modes: dict[str, bool]) -> None:
    """Give the network the values of ``tensors`` and the modes of ``modes``."""
    own = tensors_of(network)
    with torch.no_grad():
        for name, value in tensors.items():
            if not torch.equal(own[name], value):
                own[name].copy_(value)
    for name, module in network.named_modules():
        module.training = modes[name]


def remember(value: Any) -> Any:
    """What of an argument may change during a call."""
    if isinstance(value, Tensor):
        return value.detach().clone()
    return repr(value) if isinstance(value, list | dict) else None


def same_memory(tensor: Tensor) -> str:
    """The same text for tensors that share their numbers."""
    return f"{tensor.untyped_storage().data_ptr()}:{tensor.storage_offset()}:{list(tensor.shape)}"


def become(encoder: wire.Encoder, value: Any, before: Any) -> wire.Node | None:
    """What has become of an argument."""

    def plain(tensor: Tensor | None) -> wire.Node | None:
        return None if tensor is None else encoder.node(tensor.detach())

    if isinstance(value, Tensor):
        same = before.shape == value.shape and before.dtype == value.dtype and torch.equal(before, value.detach())
        grad = plain(value.grad) if value.is_leaf else None
        return {"data": None if same else plain(value), "grad": grad, "requires_grad": value.requires_grad}
    if isinstance(value, list | dict):
        return None if repr(value) == before else {"all": encoder.node(value)}
    if isinstance(value, str | int | float | None):
        return None
    made: wire.Node = {"own": encoder.node(wire.own_attributes(value))}
    if isinstance(value, nn.Module):
        made["parameters"] = {
            name: [same_memory(p), plain(p), plain(p.grad), p.requires_grad, p.is_leaf]
            for name, p in value.named_parameters()
        }
        made["buffers"] = {name: [same_memory(b), plain(b)] for name, b in value.named_buffers()}
        made["modes"] = {name: module.training for name, module in value.named_modules()}
    return made


if __name__ == "__main__":
    Player().serve()

# SPDX-License-Identifier: Apache-2.0
#
# PyTorch at the other end of a pipe: torch_peer.py DEVICE PRECISION WAY SCRIPT
#
# Takes one JSON object a line, some followed by the bytes of float32 tensors, and answers alike.
# The script is what LibTorch runs as TorchScript; here its text becomes a plain Python class, so
# that it runs eagerly or under torch.compile.
import json
import re
import sys
import time
from typing import List

import numpy
import torch
from torch import Tensor

FORMATS = {"0": "torch.contiguous_format", "2": "torch.channels_last"}


def python(script):
    """The text with TorchScript's ways of speaking replaced by Python's."""
    script = re.sub(r"memory_format=(\d)", lambda m: "memory_format=" + FORMATS[m[1]], script)
    script = script.replace("dtype=6", "dtype=torch.float32").replace(", implicit=False", "")
    script = script.replace("torch.grad(", "torch.autograd.grad(")
    script = re.sub(r"torch\.arange\((\d+), ", r"torch.arange(\1, device=self.device, ", script)
    script = re.sub(r"torch\.zeros\(\[\], ", "torch.zeros([], device=self.device, ", script)
    # What has no name in torch itself is an operation all the same.
    script = re.sub(
        r"torch\.(\w+)\(",
        lambda m: m[0] if hasattr(torch, m[1]) else "torch.ops.aten." + m[1] + "(",
        script)
    return "class Steps:\n" + re.sub("^(?=.)", "  ", script, flags=re.M)


class Peer:
    def __init__(self, device, precision, way, script):
        self.cuda = device == "cuda"
        self.device = torch.device(device)
        self.compiled = way == "compiled"
        tf32 = precision == "tf32"
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32
        torch.backends.cudnn.benchmark = True
        names = {"torch": torch, "Tensor": Tensor, "List": List}
        exec(python(open(script).read()), names)
        self.steps = names["Steps"]()
        self.steps.device = self.device
        predict = self.steps.predict
        if precision == "bf16":
            def rounded(*given, inner=predict):
                with torch.autocast(device, dtype=torch.bfloat16):
                    return inner(*given).float()
            predict = rounded
        if self.compiled:
            predict = torch.compile(predict, mode="reduce-overhead" if self.cuda else "default")
        self.steps.predict = predict
        self.values = {}

    def keep(self, tensors):
        key = len(self.values) and max(self.values) + 1
        self.values[key] = tensors
        return {"values": key}

    def wait(self):
        if self.cuda:
            torch.cuda.synchronize()

    def call(self, method, lists):
        if self.compiled:
            torch.compiler.cudagraph_mark_step_begin()
        return getattr(self.steps, method)(*[self.values[i] for i in lists])

    def answer(self, ask):
        do = ask["do"]
        if do == "about":
            name = torch.cuda.get_device_name() if self.cuda else "cpu"
            return {"about": f"PyTorch {torch.__version__}", "device": name}
        if do == "values":
            tensors = []
            for shape in ask["shapes"]:
                count = int(numpy.prod(shape, dtype=numpy.int64))
                data = numpy.frombuffer(bytearray(sys.stdin.buffer.read(4 * count)), numpy.float32)
                tensors.append(torch.from_numpy(data.reshape(shape)).to(self.device))
            return self.keep(tensors)
        if do == "run":
            made = self.call(ask["method"], ask["lists"])
            if ask["method"] == "prepare" and self.compiled:
                for w in made:
                    torch._dynamo.mark_static_address(w)
            return self.keep([x.clone() if self.compiled and not x.requires_grad else x for x in made])
        if do == "time":
            self.wait()
            start = time.perf_counter()
            for _ in range(ask["repeats"]):
                self.call(ask["method"], ask["lists"])
            self.wait()
            return {"millis": 1000 * (time.perf_counter() - start)}
        if do == "read":
            tensors = self.values[ask["values"]]
            arrays = (x.detach().float().contiguous().cpu().numpy() for x in tensors)
            return {"counts": [x.numel() for x in tensors]}, arrays
        if do == "peak":
            return {"megabytes": torch.cuda.max_memory_reserved() / 2**20 if self.cuda else 0}
        if do == "close":
            del self.values[ask["values"]]
            return {}
        raise ValueError(do)


def main():
    # Libraries print; only answers may go where the other side listens.
    answers, sys.stdout = sys.stdout.buffer, sys.stderr
    peer = None
    for line in iter(sys.stdin.buffer.readline, b""):
        arrays = []
        try:
            if peer is None:
                peer = Peer(*sys.argv[1:])
            answer = peer.answer(json.loads(line))
            if isinstance(answer, tuple):
                answer, arrays = answer
        except Exception as e:
            answer = {"error": f"{type(e).__name__}: {e}"}
        answers.write(json.dumps(answer).encode() + b"\n")
        for array in arrays:
            answers.write(array.tobytes())
        answers.flush()


main()

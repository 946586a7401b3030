"""Weights out of checkpoints and graphs, small ones for every kind of layer, and Kokoro's own."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from kvw.errors import KvwError
from kvw.speech.kokoro import sources
from kvw.speech.kokoro.weights import read_weights

onnx = pytest.importorskip("onnx")


class Predictor(nn.Module):
    """A layer of each kind that Kokoro has, with Kokoro's names."""

    def __init__(self, norm):
        super().__init__()
        self.embedding = nn.Embedding(9, 6)
        self.lstm = nn.LSTM(6, 4, batch_first=True, bidirectional=True)
        self.duration_proj = nn.Linear(8, 8)  # square, so that no shape says which way round it is
        self.fc = nn.Linear(8, 4)
        self.F0 = nn.ModuleList([norm(nn.Conv1d(8, 8, 3)), norm(nn.ConvTranspose1d(8, 6, 3))])
        self.register_parameter("alpha", nn.Parameter(torch.rand(1, 6, 1)))

    def forward(self, tokens):
        hidden, _ = self.lstm(self.embedding(tokens))
        wave = self.duration_proj(hidden).transpose(1, 2)
        for layer in self.F0:
            wave = layer(wave)
        return wave * self.alpha, self.fc(hidden[:, 0])


class Wrapper(nn.Module):
    """As kokoro-onnx wraps Kokoro, so that names begin with ``encoder.``."""

    def __init__(self, predictor):
        super().__init__()
        self.encoder = nn.Module()
        self.encoder.predictor = predictor
        self.encoder.forward = lambda tokens: predictor(tokens)

    def forward(self, tokens):
        return self.encoder(tokens)


def predictor(norm=nn.utils.weight_norm):
    torch.manual_seed(0)
    return Predictor(norm).eval()


def plain():
    """The tensors of that predictor without weight norm, by their names in KModel."""
    made = predictor()
    for layer in made.F0:
        nn.utils.remove_weight_norm(layer)
    return {f"predictor.{name}": value for name, value in made.state_dict().items()}


def exported() -> onnx.ModelProto:
    """The graph that torch's exporter, which kokoro-onnx used, makes of it."""
    content = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tokens = torch.randint(0, 9, (1, 7))
        torch.onnx.export(Wrapper(predictor()), (tokens,), content, dynamo=False)
    return onnx.load_model_from_string(content.getvalue())


def halved(model: onnx.ModelProto) -> onnx.ModelProto:
    for tensor in model.graph.initializer:
        numbers = onnx.numpy_helper.to_array(tensor)
        if numbers.dtype == np.float32:
            tensor.CopyFrom(onnx.numpy_helper.from_array(numbers.astype(np.float16), tensor.name))
    return model


def check(tensors, tolerance):
    for name, value in plain().items():
        torch.testing.assert_close(tensors(name), value, rtol=0, atol=tolerance, msg=name)
    with pytest.raises(KeyError):
        tensors("predictor.nothing.weight")


@pytest.mark.parametrize("norm", [nn.utils.weight_norm, nn.utils.parametrizations.weight_norm])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_a_checkpoint_may_have_either_layout_of_weight_norm(tmp_path, norm, prefix):
    state = {prefix + name: value for name, value in predictor(norm).state_dict().items()}
    assert any("original0" in name for name in state) == (norm is nn.utils.parametrizations.weight_norm)
    torch.save({"predictor": state}, tmp_path / "weights.pth")
    check(read_weights([tmp_path / "weights.pth"]), 0)


def test_float32_and_float16_graphs_have_every_kind_of_layer(tmp_path):
    model = exported()
    (tmp_path / "weights.onnx").write_bytes(model.SerializeToString())
    check(read_weights([tmp_path / "weights.onnx"]), 0)
    (tmp_path / "half.onnx").write_bytes(halved(model).SerializeToString())
    check(read_weights([tmp_path / "half.onnx"]), 1e-3)


def test_a_graph_in_parts_is_read_as_one(tmp_path):
    content = exported().SerializeToString()
    parts = [tmp_path / "1", tmp_path / "2"]
    for part, half in zip(parts, (content[:700], content[700:]), strict=True):
        part.write_bytes(half)
    check(read_weights(parts), 0)


class Payload:
    def __reduce__(self):
        return print, ("executed",)


def bad_files(folder: Path) -> dict[str, Path]:
    whole = exported().SerializeToString()
    outside = exported()
    for tensor in outside.graph.initializer:
        onnx.external_data_helper.set_external_data(tensor, "/etc/passwd")
    foreign = onnx.helper.make_model(onnx.helper.make_graph([], "empty", [], []))
    contents = {
        "truncated.onnx": whole[: len(whole) // 2],
        "noise.onnx": np.random.default_rng(0).bytes(5000),
        "empty.onnx": b"",
        "foreign.onnx": foreign.SerializeToString(),
        "outside.onnx": outside.SerializeToString(),
        "pointer.onnx": b"version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 9\n",
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    torch.save({"predictor": plain()}, folder / "truncated.pth")
    (folder / "truncated.pth").write_bytes((folder / "truncated.pth").read_bytes()[:1500])
    torch.save([1, 2], folder / "list.pth")
    torch.save({"model": {"layer": 3}}, folder / "numbers.pth")
    torch.save({"predictor": Payload()}, folder / "payload.pth")
    return {path.name: path for path in folder.iterdir()}


def test_what_is_no_model_of_kokoros_is_one_line_without_torchs_advice(tmp_path, capsys):
    files = bad_files(tmp_path)
    assert len(files) == 10
    (tmp_path / "config.json").write_text('{"vocab": {"a": 1}, "n_token": 178}')
    for name, path in files.items():
        with pytest.raises(KvwError) as error:
            sources.fingerprint(sources.Sources((path,), tmp_path / "config.json"))
            read_weights([path])
        (line,) = str(error.value).splitlines()
        assert name in line and "expected" in line, line
        assert "weights_only" not in line
        assert ("git lfs pull" in line) == (name == "pointer.onnx")
    assert "executed" not in capsys.readouterr().out


def test_without_onnx_the_command_that_installs_it_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    (tmp_path / "weights.onnx").write_bytes(b"\x08\x09")
    with pytest.raises(KvwError, match=r"pip install 'kvw\[weights\]'"):
        read_weights([tmp_path / "weights.onnx"])

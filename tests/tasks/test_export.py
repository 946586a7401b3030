"""``task=export`` as a user types it: packs, formats, names, and the programs that read what it writes.

Above 300 lines, because all of it starts from one folder of three voices, and a case is a command line.
"""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors import safe_open

from kvw.audio.write import write_audio
from kvw.cli.main import invoke
from kvw.tasks.destinations import PACKS, PackDestination
from kvw.types import VOICE_SHAPE
from kvw.voices.files import facts_of, load_bank, load_pack, load_voice, save_voice, synthesizer_of
from kvw.voices.formats import npz, sherpa
from tests.conftest import crashes

RNG = np.random.default_rng(0)
NAMES = ("af_alloy", "am_adam", "bf_emma")
STOCK = {name: RNG.normal(0, 0.2, VOICE_SHAPE).astype(np.float32) for name in NAMES}
OTHER = RNG.normal(0, 0.2, VOICE_SHAPE).astype(np.float32)
EVERY = "[pt,npz,kokoro_js,sherpa,npy,safetensors]"
UNHEARD = ("synth=kokoro", "synth.model=none.pth", "synth.config=none.json")


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty working directory with three of Kokoro's voices in ``voices``."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "voices").mkdir()
    for name, voice in STOCK.items():
        save_voice(tmp_path / "voices" / f"{name}.pt", voice, {"synthesiser": "kokoro"})
    return tmp_path


def export(*arguments):
    return invoke(["task=export", *arguments])


def equal(found, expected):
    assert list(found) == list(expected)
    assert all(found[name].tobytes() == expected[name].tobytes() for name in expected)


def numpy_reads(path):
    with np.load(path) as pack:
        return {name: pack[name] for name in pack}


def test_kvoicewalks_command_packs_a_folder_as_voices_bin_in_it(here):
    before = {path: path.read_bytes() for path in (here / "voices").iterdir()}
    for _ in range(2):  # the second time voices.bin is in the folder
        assert invoke(["export_bin=true", "voice_folder=voices"]) == 0
        equal(numpy_reads(here / "voices" / "voices.bin"), STOCK)
    (here / "voices" / "voices.bin").unlink()
    assert before == {path: path.read_bytes() for path in (here / "voices").iterdir()}


def test_a_voice_goes_into_every_format_at_once_and_comes_back_from_each(here):
    save_voice(here / "mine.pt", OTHER, {"synthesiser": "kokoro"})
    assert export("test_voice=mine.pt", "task.gender=m", f"task.formats={EVERY}", "task.out=out") == 0
    written = sorted(path.name for path in (here / "out").iterdir())
    single = [f"am_mine.{ending}" for ending in ("bin", "json", "npy", "pt", "safetensors")]
    assert written == [*single, "voices.bin", "voices.sherpa.bin", "voices.sherpa.speakers.txt"]
    for name in written:
        if not name.endswith((".json", ".txt")):
            bank = load_bank(here / "out" / name)
            equal(bank.voices, {"am_mine": OTHER})
            assert bank.synthesizer == "kokoro"
    equal(load_bank(here / "out").voices, {"am_mine": OTHER})


def test_a_pt_is_a_small_plain_tensor_of_the_cpu(here):
    assert export("test_voice=af_alloy", "task.formats=[pt]", "task.out=out") == 0
    tensor = torch.load(here / "out" / "af_alloy.pt", weights_only=True)
    assert (tensor.dtype, tensor.device.type, tensor.is_contiguous()) == (torch.float32, "cpu", True)
    assert tensor.untyped_storage().nbytes() == 522_240
    assert np.array_equal(tensor.numpy(), STOCK["af_alloy"])


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("bm_sam_tuned", "bm_sam_tuned"),
        ("em_Sam", "em_sam"),
        ("am__my--voice_", "am_my_voice"),
        ("Sam (2)", "am_sam_2"),
    ],
)
def test_a_voice_for_kokoro_fastapi_has_a_name_by_its_rule_which_is_said(here, capsys, given, name):
    arguments = ("task.formats=[fastapi]", "task.gender=m", "task.out=served")
    assert export("test_voice=am_adam", f"task.name={given}", *arguments) == 0
    assert sorted(path.name for path in (here / "served").iterdir()) == [f"{name}.json", f"{name}.pt"]
    assert np.array_equal(torch.load(here / "served" / f"{name}.pt", weights_only=True).numpy(), STOCK["am_adam"])
    said = " ".join(capsys.readouterr().out.split())
    assert f"am_adam: exported as {name}" in said and "without a restart" in said
    assert export("test_voice=af_alloy", f"task.name={given}", *arguments) == 2, "another voice has the name"
    assert np.array_equal(load_voice(here / "served" / f"{name}.pt"), STOCK["am_adam"])


def test_kokoros_own_pipeline_speaks_with_an_exported_voice(here, shared):
    from kokoro import KModel, KPipeline

    torch.save({}, "empty.pth")  # KModel always loads a file: nothing from this one
    model = KModel(repo_id="hexgrad/Kokoro-82M", config=str(shared / "kokoro_config.json"), model="empty.pth").eval()
    torch.nn.init.constant_(model.predictor.duration_proj.linear_layer.bias, -2.75)  # the pace of speech
    assert export("test_voice=am_adam", "task.formats=[pt]", "task.out=out", "task.name=em_adan") == 0
    pipeline = KPipeline("e", repo_id="hexgrad/Kokoro-82M", model=model)
    path = str(here / "out" / "em_adan.pt")
    assert np.array_equal(pipeline.load_voice(path).numpy(), STOCK["am_adam"])
    torch.manual_seed(0)
    (spoken,) = pipeline("No.", voice=path)
    torch.manual_seed(0)
    row = torch.from_numpy(STOCK["am_adam"][len(spoken.phonemes) - 1])
    assert len(spoken.audio) > 0
    assert torch.equal(spoken.audio, model(spoken.phonemes, row))


def test_a_pack_that_is_there_keeps_its_voices_and_gets_the_new_ones_at_its_end(here):
    pack = here / "voices-v1.0.bin"
    with pack.open("wb") as file:
        np.savez(file, zm_z=OTHER, af_a=STOCK["bf_emma"])
    assert export(f"task.out={pack}") == 0
    equal(numpy_reads(pack), {"zm_z": OTHER, "af_a": STOCK["bf_emma"], **STOCK})
    assert not (here / "voices" / "voices.bin").exists()


def test_speaker_ids_stay_when_a_concatenation_grows(here):
    arguments = ("task.formats=[sherpa]", "task.out=voices.bin")
    assert export("test_voice=bf_emma", *arguments) == 0
    assert export(*arguments) == 0
    order = ["bf_emma", "af_alloy", "am_adam"]
    assert (here / "voices.speakers.txt").read_text() == "0 bf_emma\n1 af_alloy\n2 am_adam\n"
    found = np.fromfile(here / "voices.bin", "<f4").reshape(3, *VOICE_SHAPE)
    equal(dict(zip(order, found, strict=True)), {name: STOCK[name] for name in order})


def test_kvoicewalks_pack_loses_the_endings_of_its_names(here):
    with (here / "voices" / "voices.bin").open("wb") as file:
        np.savez(file, **{f"{name}.pt": voice for name, voice in STOCK.items()})
    save_voice(here / "voices" / "em_x.pt", OTHER, {"synthesiser": "kokoro"})
    assert export("export_bin=true") == 0
    equal(numpy_reads(here / "voices" / "voices.bin"), {**STOCK, "em_x": OTHER})


@pytest.mark.parametrize("form", ["pt", "npz", "kokoro_js", "sherpa", "npy", "safetensors"])
def test_another_voice_of_the_name_goes_only_when_asked(here, form, capsys):
    arguments = (f"task.formats=[{form}]", "task.out=out")
    assert export("test_voice=af_alloy", *arguments) == 0
    before = {path: path.read_bytes() for path in (here / "out").iterdir()}
    save_voice(here / "voices" / "af_alloy.pt", OTHER, {"synthesiser": "kokoro"})
    assert export("test_voice=af_alloy", *arguments) == 2
    line = capsys.readouterr().err
    assert "the name af_alloy to be free" in line and "task.replace=true" in line and line.count("\n") == 1
    assert before == {path: path.read_bytes() for path in (here / "out").iterdir()}
    assert export("test_voice=af_alloy", *arguments, "task.replace=true") == 0
    (path,) = (path for path in (here / "out").iterdir() if path.suffix not in (".json", ".txt"))
    equal(load_bank(path).voices, {"af_alloy": OTHER})


def test_a_voice_goes_nowhere_when_one_place_has_another_of_its_name(here):
    (here / "out").mkdir()
    np.save(here / "out" / "af_alloy.npy", OTHER)
    assert export("test_voice=af_alloy", f"task.formats={EVERY}", "task.out=out") == 2
    assert [path.name for path in (here / "out").iterdir()] == ["af_alloy.npy"]


@pytest.mark.parametrize(
    ("content", "form"),
    [(b"not a pack", "npz"), (sherpa.write(STOCK), "npz"), (npz.write(STOCK), "sherpa"), (b"", "sherpa")],
)
def test_a_file_that_is_no_such_pack_stays_as_it_is(here, content, form, capsys):
    (here / "mine.bin").write_bytes(content)
    assert export("task.out=mine.bin", f"task.formats=[{form}]") == 2
    assert f"expected a pack of the format {form}" in capsys.readouterr().err
    assert (here / "mine.bin").read_bytes() == content


@pytest.mark.parametrize("form", ["npz", "sherpa"])
def test_a_crash_at_any_step_leaves_a_pack_of_the_old_or_the_new_voices(here, form, monkeypatch):
    steps = 0
    for crash in range(20):
        (folder := here / str(crash)).mkdir()
        old = PackDestination(folder / PACKS[form], form)
        old.put("af_alloy", STOCK["af_alloy"], {})
        old.close()
        new = PackDestination(folder / PACKS[form], form)
        new.put("am_adam", STOCK["am_adam"], {})
        steps += crashes(monkeypatch, new.close, crash)
        found = load_pack(old.path)
        equal(found, {name: STOCK[name] for name in ("af_alloy", "am_adam")[: len(found)]})
    assert 3 <= steps < 20, "every step was tried"


def test_exports_side_by_side_into_one_pack_lose_no_voice(here):
    command = [sys.executable, "-m", "kvw", "task=export", "voice_folder=voices", "task.out=packed"]
    exports = [
        subprocess.Popen([*command, f"test_voice={name}", "task.formats=[npz,sherpa]"], cwd=here) for name in NAMES
    ]
    assert [process.wait(timeout=120) for process in exports] == [0, 0, 0]
    for pack in ("voices.bin", "voices.sherpa.bin"):
        assert set(load_pack(here / "packed" / pack)) == set(NAMES)


def test_one_bad_voice_of_several_is_named_and_the_others_are_done(here, capsys):
    (here / "voices" / "am_bad.pt").write_bytes(b"not a voice")
    assert export("export_bin=true") == 1
    said = capsys.readouterr()
    assert said.err == "kvw: 1 of 4 voices failed: voices/am_bad.pt\n"
    assert "am_bad.pt: expected a voice" in said.out
    equal(numpy_reads(here / "voices" / "voices.bin"), STOCK)


def test_a_bad_voice_alone_is_bad_input(here, capsys):
    (here / "bad.pt").write_bytes(b"not a voice")
    assert export("test_voice=bad.pt") == 2
    assert "bad.pt: expected a voice" in capsys.readouterr().err
    assert not list(here.rglob("*.bin"))


@pytest.mark.parametrize("form", ["pt", "fastapi", "npz", "kokoro_js", "sherpa", "npy"])
def test_an_embedded_voice_is_refused_for_kokoros_formats(here, form, capsys):
    assert export("test_voice=af_amber", f"task.formats=[{form},safetensors]", "task.out=out") == 2
    line = capsys.readouterr().err
    assert f"expected a voice of Kokoro's for {form}" in line and "means nothing to Kokoro" in line
    assert not list((here / "out").iterdir())


def test_an_embedded_voice_goes_into_safetensors_that_say_so(here, bank):
    assert export("test_voice=af_amber", "task.formats=[safetensors]", "task.out=out") == 0
    path = here / "out" / "af_amber.embedded.safetensors"
    assert np.array_equal(load_voice(path), bank["af_amber"])
    assert synthesizer_of(path) == "embedded"
    assert facts_of(path)["base_voices_licence"] == "Apache-2.0"


@pytest.mark.parametrize("owner", ["../../evil", "gone/astray", "x\ny"])
def test_a_voice_of_an_unknown_owner_is_refused_and_never_part_of_a_path(here, owner, capsys):
    save_voice(here / "am_x.pt", OTHER, {"synthesiser": owner})
    assert export("test_voice=am_x.pt", "task.formats=[safetensors]", "task.out=out") == 2
    line = capsys.readouterr().err
    assert "expected a voice of kokoro or embedded" in line and line.count("\n") == 1
    assert not list(here.rglob("*.safetensors"))


def test_safetensors_tell_where_a_voice_comes_from(here):
    facts = {
        "synthesiser": "kokoro",
        "target_sha256": "0" * 64,
        "scores": {"score": 81.2, "target_similarity": 0.7},
        "heldout": 0.66,
        "seed": 3,
        "base_voices": ["af_alloy", "am_adam"],
    }
    save_voice(here / "am_best.pt", OTHER, facts)
    assert export("test_voice=am_best.pt", "task.formats=[safetensors,pt]", "task.out=out") == 0
    told = facts_of(here / "out" / "am_best.safetensors")
    assert {key: told[key] for key in facts} == facts
    assert told["synthetic"] is True
    assert told["base_voices_licence"] == "Apache-2.0"
    assert told["name"] == "am_best"
    assert told["date"].startswith("20") and told["date"].endswith("+00:00")
    with safe_open(here / "out" / "am_best.safetensors", "pt") as file:
        assert file.metadata()["scores"] == '{"score": 81.2, "target_similarity": 0.7}'
        assert np.array_equal(file.get_tensor("voice").numpy(), OTHER)
    beside = json.loads((here / "out" / "am_best.json").read_text())
    assert len(beside.pop("facts_sha256")) == 64  # of the other lines; safetensors' metadata have none
    assert {**beside, "date": 0, "shape": 0} == {**told, "date": 0, "shape": 0}


def test_base_voices_of_strangers_have_no_known_licence(here):
    save_voice(here / "am_x.pt", OTHER, {"synthesiser": "kokoro", "base_voices": ["af_alloy", "mine"]})
    assert export("test_voice=am_x.pt", "task.formats=[safetensors]", "task.out=out") == 0
    assert facts_of(here / "out" / "am_x.safetensors")["base_voices_licence"] == "unknown"


def test_a_record_of_someone_elses_is_never_written_over(here, capsys):
    place = here / "outputs" / "exported"
    place.mkdir(parents=True)
    (place / "af_mix.json").write_text('{"mine": 1}')
    assert export("test_voice=af_alloy", "task.formats=[pt]", "task.name=af_mix") == 2
    assert "af_mix.json" in capsys.readouterr().err
    assert (place / "af_mix.json").read_text() == '{"mine": 1}'
    assert not (place / "af_mix.pt").exists()


def test_a_pack_is_named_as_its_format_is(here, capsys):
    assert export("test_voice=af_alloy", "task.formats=[sherpa]", "task.out=my.npz") == 2
    assert "my.npz" in capsys.readouterr().err
    assert not (here / "my.npz").exists()


def test_a_blend_is_exported_with_its_shares(here):
    assert export("test_voice=af_alloy(3)+am_adam(1)", "task.formats=[safetensors]", "task.name=af_mix") == 0
    path = here / "outputs" / "exported" / "af_mix.safetensors"
    np.testing.assert_allclose(load_voice(path), 0.75 * STOCK["af_alloy"] + 0.25 * STOCK["am_adam"], atol=1e-6)
    facts = facts_of(path)
    assert facts["base_voices"] == ["af_alloy", "am_adam"]
    assert facts["exported_from"] == "af_alloy(3)+am_adam(1)"


def test_a_pack_is_taken_apart_into_files(here):
    with (here / "some.bin").open("wb") as file:
        np.savez(file, **STOCK)
    assert export("voice_folder=some.bin", "task.formats=[kokoro_js]", "task.out=out") == 0
    for name, voice in STOCK.items():
        assert (here / "out" / f"{name}.bin").read_bytes() == voice.tobytes()


def test_a_name_that_servers_would_not_take_is_made_of_the_files(here, embedded, bank):
    script = embedded.script("Boats slide out through the mist one after another, and their lamps grow small.")
    for name, speaker in (("Élodie+2", "af_martha"), ("My Voice (new)", "am_conrad")):
        save_voice(here / "voices" / f"{name}.pt", OTHER * (1 + len(name)), {"synthesiser": "kokoro"})
        write_audio(here / "voices" / f"{name}.wav", embedded([bank[speaker]], script, 0)[0])
    assert export("export_bin=true", "language=b", *UNHEARD) == 0
    assert set(numpy_reads(here / "voices" / "voices.bin")) == {*STOCK, "bf_elodie_2", "bm_my_voice_new"}


@pytest.mark.parametrize(("speaker", "letter"), [("af_martha", "f"), ("am_conrad", "m")])
def test_a_voice_without_a_recording_speaks_for_its_gender(here, bank, speaker, letter):
    save_voice(here / "best.pt", bank[speaker], {"synthesiser": "embedded"})
    assert export("test_voice=best.pt", "task.formats=[safetensors]", "task.out=out") == 0
    assert [path.name for path in (here / "out").iterdir()] == [f"a{letter}_best.embedded.safetensors"]


def test_the_gender_is_asked_for_where_a_voice_cannot_be_heard(here, capsys):
    save_voice(here / "best.pt", OTHER, {"synthesiser": "kokoro"})
    assert export("test_voice=best.pt", *UNHEARD) == 2
    line = capsys.readouterr().err
    assert "give task.gender=f or task.gender=m" in line and "none.pth" in line and line.count("\n") == 1
    assert export("test_voice=best.pt", *UNHEARD, "task.gender=f", "language=b") == 0
    assert list(numpy_reads(here / "outputs" / "exported" / "voices.bin")) == ["bf_best"]


@pytest.mark.parametrize(("given", "name"), [("em_sam", "em_sam"), ("Sam's 2nd", "am_sam_s_2nd")])
def test_a_name_can_be_given_whole_or_in_its_last_part(here, given, name):
    assert export("test_voice=af_alloy", "task.gender=m", f"task.name={given}", "task.out=out") == 0
    assert list(numpy_reads(here / "out" / "voices.bin")) == [name]


def test_two_voices_of_one_name_are_not_mixed_up(here, capsys):
    for name, voice in (("my-voice", OTHER), ("my voice", 2 * OTHER)):
        save_voice(here / "voices" / f"{name}.pt", voice, {"synthesiser": "kokoro"})
    assert export("export_bin=true", "task.gender=f", "task.replace=true") == 1
    assert "1 of 5 voices failed" in capsys.readouterr().err
    assert set(numpy_reads(here / "voices" / "voices.bin")) == {*STOCK, "af_my_voice"}


@pytest.mark.parametrize(
    ("language", "facts", "warns"),
    [
        ("e", {}, True),
        ("a", {}, False),
        ("a", {"language": "e"}, True),
        ("a", {"language": "a"}, False),
        ("a", {"language": ["a"]}, True),
    ],
)
def test_a_name_of_another_language_than_the_voices_or_the_configs_warns(here, capsys, language, facts, warns):
    save_voice(here / "af_mine.pt", OTHER, {"synthesiser": "kokoro", **facts})
    assert export("test_voice=af_mine.pt", f"language={language}") == 0
    assert ("another language than the first letter says" in capsys.readouterr().out) == warns
    assert list(numpy_reads("outputs/exported/voices.bin")) == ["af_mine"]


def test_stock_voices_of_every_language_go_without_a_warning(here, capsys):
    assert export("export_bin=true") == 0
    assert "language" not in capsys.readouterr().out


def test_a_name_that_denies_the_given_gender_warns_and_stays(here, capsys):
    assert export("test_voice=af_alloy", "task.gender=m") == 0
    assert "af_alloy: named before task.gender=m" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["task.formats=[npzz]"], ["task.formats", "'npzz'", "npz"]),
        (["task.formats=[]"], ["task.formats", "expected some of"]),
        (["task.gender=x"], ["task.gender", "f or m", "'x'"]),
        (["task.name=sam"], ["task.name", "single voice"]),
        (["test_voice=af_alloy", "task.name="], ["task.name"]),
        (["task.out=v.bin", "task.formats=[npz,sherpa]"], ["task.out", "folder"]),
        (["task.out=v.npz", "task.formats=[pt]"], ["task.out", "folder"]),
        (["voice_folder=empty"], ["voice_folder", "empty"]),
        (["task.fromats=[npz]"], ["fromats"]),
    ],
)
def test_a_bad_setting_is_one_line_and_nothing_is_written(here, arguments, words, capsys):
    before = sorted(here.rglob("*"))
    assert export(*arguments) == 2
    line = capsys.readouterr().err
    assert line.count("\n") == 1 and all(word in line for word in words)
    assert sorted(here.rglob("*")) == before


def test_a_pack_takes_256_voices_and_no_more(here, capsys):
    with (here / "full.bin").open("wb") as file:
        np.savez(file, **{f"am_{n}": OTHER for n in range(256)})
    before = (here / "full.bin").stat().st_mtime_ns
    assert export("test_voice=af_alloy", "task.out=full.bin") == 2
    assert "at most 256 voices" in capsys.readouterr().err
    assert (here / "full.bin").stat().st_mtime_ns == before


def a_row_as_audio(path):
    """Writes an ONNX model with the inputs of Kokoro's whose audio is the style row that it is given."""
    import onnx
    from onnx import TensorProto, helper

    inputs = {"tokens": (TensorProto.INT64, [1, "n"]), "style": (TensorProto.FLOAT, [1, 256])}
    graph = helper.make_graph(
        [
            helper.make_node("Reshape", ["style", "flat"], ["row"]),
            helper.make_node("Cast", ["tokens"], ["numbers"], to=TensorProto.FLOAT),
            helper.make_node("ReduceSum", ["numbers"], ["sum"], keepdims=0),
            helper.make_node("Sum", ["sum", "speed"], ["heard"]),
            helper.make_node("Mul", ["heard", "zero"], ["nothing"]),  # every input counts, or runtimes drop it
            helper.make_node("Add", ["row", "nothing"], ["audio"]),
        ],
        "row",
        [
            *(helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in inputs.items()),
            helper.make_tensor_value_info("speed", TensorProto.FLOAT, [1]),
        ],
        [helper.make_tensor_value_info("audio", TensorProto.FLOAT, ["samples"])],
        [
            helper.make_tensor("flat", TensorProto.INT64, [1], [-1]),
            helper.make_tensor("zero", TensorProto.FLOAT, [], [0.0]),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    facts = {"sample_rate": 24_000, "n_speakers": 3, "style_dim": "510,1,256", "has_espeak": 1, "voice": "en-us"}
    for key, value in facts.items():
        model.metadata_props.add(key=key, value=str(value))
    onnx.save(model, path)


def heard_rows(wave):
    """Which rows of which voices a wave is."""
    samples = np.asarray(wave, dtype=np.float32)
    return [
        (name, row)
        for name, voice in STOCK.items()
        for row in range(len(voice))
        if np.array_equal(samples, voice[row, 0])
    ]


@pytest.mark.extras
def test_kokoro_onnx_speaks_with_an_exported_pack(here):
    from kokoro_onnx import Kokoro

    a_row_as_audio("model.onnx")
    assert export("export_bin=true") == 0
    runtime = Kokoro("model.onnx", "voices/voices.bin")
    assert runtime.get_voices() == sorted(STOCK)
    for name in STOCK:
        wave, rate = runtime.create("həlˈO", voice=name, is_phonemes=True, trim=False)
        ((voice, _),) = heard_rows(wave)
        assert (voice, rate) == (name, 24_000)


@pytest.mark.extras
def test_sherpa_onnx_speaks_with_an_exported_concatenation(here):
    import sherpa_onnx

    a_row_as_audio("model.onnx")
    (here / "tokens.txt").write_text("$ 0\nh 50\na 43\n")
    (here / "lexicon.txt").write_text("ha h a\n")
    assert export("task.formats=[sherpa]") == 0
    kokoro = sherpa_onnx.OfflineTtsKokoroModelConfig(
        model="model.onnx", voices="voices/voices.sherpa.bin", tokens="tokens.txt", lexicon="lexicon.txt"
    )
    config = sherpa_onnx.OfflineTtsConfig(model=sherpa_onnx.OfflineTtsModelConfig(kokoro=kokoro))
    runtime = sherpa_onnx.OfflineTts(config)
    assert runtime.num_speakers == 3
    for number, name in enumerate(STOCK):
        ((voice, _),) = heard_rows(runtime.generate("ha", sid=number).samples)
        assert voice == name

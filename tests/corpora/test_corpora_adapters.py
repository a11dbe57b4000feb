"""Corpora in the layout in which they are distributed."""

from __future__ import annotations

import shutil
from dataclasses import asdict
from pathlib import Path

import pytest
from layouts import MINIATURES, build, no_data_chunk, sound

from aligncap.corpora.adapters import Reading, Remark, assign_splits, check_audio, read_corpus
from aligncap.corpora.known import CorpusError, corpus_names, load_corpus
from aligncap.corpora.row import Row

FIELDS = ("language", "speaker", "gender", "emotion", "label", "intensity", "votes", "transcript", "captions", "split")


def read(name: str, folder: Path) -> Reading:
    return read_corpus(name, build(name, folder))


def lost(reading: Reading) -> list[str]:
    return [str(remark) for remark in reading.remarks if remark.lost]


def notes(reading: Reading) -> list[str]:
    return [str(remark) for remark in reading.remarks if not remark.lost]


# --------------------------------------------------------------------------------- every corpus


def test_every_corpus_has_a_miniature() -> None:
    assert {name.split("/")[0] for name in MINIATURES} == set(corpus_names())


@pytest.mark.parametrize("name", MINIATURES)
def test_rows(name: str, tmp_path: Path) -> None:
    miniature, corpus = MINIATURES[name], name.split("/", maxsplit=1)[0]
    reading = read_corpus(corpus, build(name, tmp_path))
    unknown = asdict(Row(id="", audio=""))
    rows = {row.id: asdict(row) for row in reading.rows}
    assert list(rows) == sorted(f"{corpus}/{key}" for key in miniature.rows)
    for key, expected in miniature.rows.items():
        row = rows[f"{corpus}/{key}"]
        assert Path(row["audio"]).is_file()
        assert (row["corpus"], row["licence"]) == (corpus, load_corpus(corpus).licence)
        for field in (*FIELDS, "start", "end"):
            assert row[field] == expected.get(field, unknown[field]), (key, field)


@pytest.mark.parametrize("name", MINIATURES)
def test_what_is_left_out_is_named(name: str, tmp_path: Path) -> None:
    reading = read_corpus(name.split("/", maxsplit=1)[0], build(name, tmp_path))
    found = [(remark.source, remark.reason) for remark in reading.remarks if remark.lost]
    assert len(found) == len(MINIATURES[name].remarks), found
    for source, words in MINIATURES[name].remarks:
        assert any(source == place and reason.startswith(words) for place, reason in found), (source, found)


@pytest.mark.parametrize("name", [name for name in MINIATURES if name != "iemocap/dialogues"])
def test_made_up_sound_can_be_decoded(name: str, tmp_path: Path) -> None:
    reading = read(name, tmp_path)
    assert list(check_audio(reading)) == reading.rows


@pytest.mark.parametrize("name", corpus_names())
def test_entry(name: str) -> None:
    from aligncap.captions.taxonomy import category_of

    corpus = load_corpus(name)
    for text in (corpus.title, corpus.licence, corpus.citation, corpus.obtain, corpus.languages):
        assert text
    assert corpus.homepage.startswith("http")
    place = corpus.layout.split(" and ")[0]
    assert corpus.pattern.fullmatch(str(Path("/anywhere", place).with_suffix(""))), place
    for emotion in {*corpus.emotions, *corpus.answers.values()}:
        assert category_of(emotion), f"{emotion} is not in the taxonomy"
    for rule in corpus.fields.values():
        assert "" not in (rule.map or {}).values()


def test_intensities_are_those_of_the_schema() -> None:
    values = {
        value
        for name in corpus_names()
        if (rule := load_corpus(name).fields.get("intensity")) and rule.map
        for value in rule.map.values()
    }
    assert values == {"mild", "normal", "strong"}


def test_speakers_and_genders_of_whole_corpora() -> None:
    """As many of each as the corpora's papers say."""
    for name, male, female in (
        ("ravdess", 12, 12),
        ("emodb", 5, 5),
        ("nemo", 5, 4),
        ("indowave", 5, 5),
        ("esd", 10, 10),
    ):
        genders = list((load_corpus(name).fields["gender"].map or {}).values())
        assert (genders.count("male"), genders.count("female")) == (male, female), name


# --------------------------------------------------------------------------------- where things are


@pytest.mark.parametrize("inner", ["AudioData/DC", "AudioData", "."])
def test_any_folder_of_a_corpus_will_do(inner: str, tmp_path: Path) -> None:
    build("savee", tmp_path / "Ö corpora" / "SAVEE")
    reading = read_corpus("savee", tmp_path / "Ö corpora" / "SAVEE" / inner)
    assert "savee/DC_a01" in {row.id for row in reading.rows}
    assert read_corpus("savee", tmp_path).rows[0].id == "savee/DC_a01"


@pytest.mark.parametrize(("name", "inner"), [("nemo", "samples"), ("crema_d", "AudioWAV"), ("emodb", "wav")])
def test_tables_are_found_beside_the_folder_of_recordings(name: str, inner: str, tmp_path: Path) -> None:
    build(name, tmp_path)
    whole = {row.id: row for row in read_corpus(name, tmp_path).rows}
    assert {row.id: row for row in read_corpus(name, tmp_path / inner).rows} == whole


@pytest.mark.parametrize(
    ("name", "table", "field"),
    [
        ("crema_d", "processedResults/tabulatedVotes.csv", "votes"),
        ("crema_d", "VideoDemographics.csv", "gender"),
        ("emodb", "erkennung.txt", "votes"),
        ("nemo", "data.tsv", "transcript"),
        ("emosec", "dataset/text.txt", "transcript"),
    ],
)
def test_without_a_table_what_it_tells_is_unknown(name: str, table: str, field: str, tmp_path: Path) -> None:
    build(name, tmp_path)
    (tmp_path / table).unlink()
    reading = read_corpus(name, tmp_path)
    assert len(reading.rows) == len(MINIATURES[name].rows)
    assert not any(getattr(row, field) for row in reading.rows)
    assert any(Path(table).name in note and "not there" in note for note in notes(reading))


@pytest.mark.parametrize(
    ("name", "table", "words"),
    [
        ("emosec", "dataset/fid2captions.json", "there is no fid2captions.json"),
        ("iemocap", "Session*/dialog/EmoEvaluation", "EmoEvaluation"),
        ("mer2023", "**/*.csv", "column 'name'"),
        ("meld", "**/*.csv", "no clip of meld"),
    ],
)
def test_without_its_labels_a_corpus_is_refused(name: str, table: str, words: str, tmp_path: Path) -> None:
    build(name, tmp_path)
    for path in list(tmp_path.glob(table)):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(CorpusError) as caught:
        read_corpus(name, tmp_path)
    assert words in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def test_nothing_of_the_corpus(tmp_path: Path) -> None:
    build("emovo", tmp_path)
    with pytest.raises(CorpusError, match=r"no clip of ravdess in it; one is called Actor_12/03-01-06"):
        read_corpus("ravdess", tmp_path)
    with pytest.raises(CorpusError, match="there is no such folder"):
        read_corpus("ravdess", tmp_path / "nowhere")
    with pytest.raises(CorpusError, match="no such corpus is known; known are aesdd, baved"):
        read_corpus("ravdes", tmp_path)


# --------------------------------------------------------------------------------- damage and doubles


def test_a_wav_without_samples_is_named_and_skipped(tmp_path: Path) -> None:
    build("aesdd", tmp_path)
    (tmp_path / "sadness/s05_3.wav").write_bytes(no_data_chunk())
    reading = read_corpus("aesdd", tmp_path)
    checked = list(check_audio(reading))
    problems = [item for item in checked if isinstance(item, Remark)]
    assert [problem.source for problem in problems] == ["sadness/s05_3.wav"]
    assert problems[0].lost
    assert "\n" not in str(problems[0])
    assert [item.id for item in checked if isinstance(item, Row)] == [
        "aesdd/a06 (5)",
        "aesdd/a06 (5)b",
        "aesdd/f10 (01)",
        "aesdd/h01(2)",
    ]


@pytest.mark.parametrize("data", [b"", b"version https://git-lfs.github.com/spec/v1\n", sound()[:3000], sound(0.01)])
def test_other_damage(data: bytes, tmp_path: Path) -> None:
    build("crema_d", tmp_path)
    (tmp_path / "AudioWAV/1002_TIE_SAD_LO.wav").write_bytes(data)
    checked = list(check_audio(read_corpus("crema_d", tmp_path)))
    assert [item.source for item in checked if isinstance(item, Remark)] == ["AudioWAV/1002_TIE_SAD_LO.wav"]
    assert len(checked) == 4


def test_a_turn_that_ends_after_its_dialogue(tmp_path: Path) -> None:
    reading = read_corpus("iemocap", build("iemocap/dialogues", tmp_path))  # dialogues of 7 s
    assert [str(item) for item in check_audio(reading) if isinstance(item, Remark)] == [
        "Session1/dialog/wav/Ses01F_impro01.wav: it ends at 7 s, before iemocap/Ses01F_impro01_F000 does (8.2357 s)",
        "Session1/dialog/wav/Ses01F_impro01.wav: it ends at 7 s, before iemocap/Ses01F_impro01_M000 does (11.3925 s)",
    ]


def test_a_recording_is_decoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import aligncap.audio

    opened: list[str] = []
    reading = read_corpus("iemocap", build("iemocap/dialogues", tmp_path))
    real = aligncap.audio.read_audio
    monkeypatch.setattr("aligncap.audio.read_audio", lambda path: opened.append(path) or real(path))
    list(check_audio(reading))
    assert len(opened) == len(set(opened)) == 2


def test_copies_are_read_once_and_namesakes_are_named(tmp_path: Path) -> None:
    build("ravdess", tmp_path)
    first = tmp_path / "Audio_Speech_Actors_01-24/Actor_01/03-01-01-01-01-01-01.wav"
    copy, namesake = (tmp_path / folder / first.name for folder in ("copies", "namesakes"))
    for path in (copy, namesake):
        path.parent.mkdir()
    shutil.copy(first, copy)
    namesake.write_bytes(sound(seed=99))
    reading = read_corpus("ravdess", tmp_path)
    assert len(reading.rows) == 3
    assert [remark for remark in lost(reading) if "has the name of" in remark] == [
        f"namesakes/{first.name}: it has the name of Audio_Speech_Actors_01-24/Actor_01/{first.name} and is another "
        "recording"
    ]
    assert any(note.startswith("1: recordings left out: copies") for note in notes(reading))
    assert any(note.startswith("2: recordings left out: songs and videos") for note in notes(reading))


def test_a_clip_in_two_formats_is_read_as_wav(tmp_path: Path) -> None:
    reading = read("crema_d", tmp_path)
    assert {Path(row.audio).suffix for row in reading.rows} == {".wav"}
    assert any(note.startswith("1: recordings left out: copies") for note in notes(reading))
    alone = read_corpus("crema_d", tmp_path / "AudioMP3")
    assert [Path(row.audio).suffix for row in alone.rows] == [".mp3"]


def test_hidden_files_are_no_recordings(tmp_path: Path) -> None:
    build("emovo", tmp_path)
    for place in ("EMOVO/f1/._dis-f1-b2.wav", "__MACOSX/EMOVO/f1/dis-f1-b2.wav", ".trash/dis-f1-b2.wav"):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_bytes(b"")
    assert len(read_corpus("emovo", tmp_path).rows) == 2


def test_the_size_of_the_distribution_is_compared(tmp_path: Path) -> None:
    assert "2 clips: the distribution has 588" in notes(read("emovo", tmp_path))


def test_broken_tables_are_named(tmp_path: Path) -> None:
    build("crema_d", tmp_path)
    path = tmp_path / "processedResults/tabulatedVotes.csv"
    path.write_text('"","A","D","F","H","N","fileName"\n')
    with pytest.raises(CorpusError, match=r"tabulatedVotes.csv: it has no column numResponses, S"):
        read_corpus("crema_d", tmp_path)
    (tmp_path / "VideoDemographics.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CorpusError, match=r"VideoDemographics.csv: "):
        read_corpus("crema_d", tmp_path)


def test_captions_that_are_no_captions(tmp_path: Path) -> None:
    build("emosec", tmp_path)
    for text in ("[1, 2]", "{", '{"a": 1}'):
        (tmp_path / "dataset/fid2captions.json").write_text(text)
        with pytest.raises(CorpusError, match="it is not a JSON object of captions"):
            read_corpus("emosec", tmp_path)


# --------------------------------------------------------------------------------- splits


def test_default_splits(tmp_path: Path) -> None:
    for name, splits in {
        "emosec": {"test"},
        "mer2023": {""},
        "esd": {"train", "dev"},
        "meld": {"train", "dev"},
    }.items():
        reading = read(name, tmp_path / name)
        assert {row.split for row in assign_splits(reading.rows, reading.corpus)} == splits


def test_splits_on_request(tmp_path: Path) -> None:
    reading = read("meld", tmp_path)

    def splits(split: str) -> list[str]:
        return [row.split for row in assign_splits(reading.rows, reading.corpus, split)]

    assert splits("corpus") == ["dev", "test", "train", "train"]
    assert splits("none") == [""] * 4
    assert splits("zero_shot") == ["zero_shot"] * 4
    with pytest.raises(CorpusError, match="no such split; there are speakers, corpus, none"):
        splits("validation")


def test_splits_that_cannot_be(tmp_path: Path) -> None:
    reading = read("savee", tmp_path / "savee")
    with pytest.raises(CorpusError, match="its authors did not split it"):
        assign_splits(reading.rows, reading.corpus, "corpus")
    reading = read("emosec", tmp_path / "emosec")
    with pytest.raises(CorpusError, match="its speakers are not told apart"):
        assign_splits(reading.rows, reading.corpus, "speakers")

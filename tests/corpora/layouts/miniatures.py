"""Names and tables of the miniatures, and what a reader should make of them. The texts in them are our own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["MINIATURES", "Miniature"]


@dataclass(frozen=True)
class Miniature:
    """A corpus of a few clips.

    Attributes:
        recordings: their paths; the sound is made up.
        rows: id without the corpus → what the row must say (fields that are not given must be unknown).
        files: path → content of tables and texts.
        remarks: about what is left out, as (source, words of the reason).
        seconds: length of the recordings.
    """

    recordings: tuple[str, ...]
    rows: Mapping[str, Mapping[str, Any]]
    files: Mapping[str, bytes] = field(default_factory=dict)
    remarks: tuple[tuple[str, str], ...] = ()
    seconds: float = 0.3


def _text(*lines: str, encoding: str = "utf-8") -> bytes:
    return "".join(f"{line}\n" for line in lines).encode(encoding)


def _row(language: str, speaker: str, gender: str, emotion: str, label: str, **more: Any) -> dict[str, Any]:
    return {"language": language, "speaker": speaker, "gender": gender, "emotion": emotion, "label": label, **more}


RAVDESS = Miniature(
    recordings=(
        "Audio_Speech_Actors_01-24/Actor_01/03-01-01-01-01-01-01.wav",
        "Audio_Speech_Actors_01-24/Actor_12/03-01-06-02-02-01-12.wav",
        "Audio_Speech_Actors_01-24/Actor_24/03-01-08-01-02-02-24.wav",
        "Audio_Song_Actors_01-24/Actor_01/03-02-01-01-01-01-01.wav",
        "Video_Speech_Actor_01/Actor_01/01-01-01-01-01-01-01.mp4",
        "Audio_Speech_Actors_01-24/Actor_25/03-01-08-01-02-02-25.wav",
    ),
    rows={
        "03-01-01-01-01-01-01": _row(
            "en", "01", "male", "neutral", "neutral", intensity="normal", transcript="Kids are talking by the door"
        ),
        "03-01-06-02-02-01-12": _row(
            "en", "12", "female", "fear", "fearful", intensity="strong", transcript="Dogs are sitting by the door"
        ),
        "03-01-08-01-02-02-24": _row(
            "en", "24", "female", "surprise", "surprised", intensity="normal", transcript="Dogs are sitting by the door"
        ),
    },
    remarks=(("Audio_Speech_Actors_01-24/Actor_25/03-01-08-01-02-02-25.wav", "its name is none of ravdess's"),),
)

_VOTES = (
    '"","A","D","F","H","N","S","fileName","numResponses","agreement","emoVote","meanEmoResp"',
    '"100001",0,1,0,1,8,0,"1001_IEO_NEU_XX",10,0.8,"N",71.7',
    '"100002",4,0,0,0,5,0,"1001_DFA_ANG_HI",9,0.56,"N",60',
    '"200001",0,0,10,0,0,0,"1001_IEO_NEU_XX",10,1,"F",71.7',  # seen without sound
    '"300002",9,0,0,0,0,0,"1001_DFA_ANG_HI",9,1,"A",60',  # seen and heard
)
CREMA_D = Miniature(
    recordings=(
        "AudioWAV/1001_IEO_NEU_XX.wav",
        "AudioWAV/1001_DFA_ANG_HI.wav",
        "AudioWAV/1002_TIE_SAD_LO.wav",
        "AudioWAV/1040_ITH_SAD_X.wav",
        "AudioMP3/1001_IEO_NEU_XX.mp3",
    ),
    files={
        "processedResults/tabulatedVotes.csv": _text(*_VOTES),
        "VideoDemographics.csv": _text(
            '"ActorID","Age","Sex","Race","Ethnicity"', '1001,51,"Male","x","y"', '1002,21,"Female","x","y"'
        ),
    },
    rows={
        "1001_IEO_NEU_XX": _row(
            "en",
            "1001",
            "male",
            "neutral",
            "NEU",
            transcript="It's eleven o'clock",
            votes={"neutral": 0.8, "disgust": 0.1, "happy": 0.1},
        ),
        "1001_DFA_ANG_HI": _row(
            "en",
            "1001",
            "male",
            "angry",
            "ANG",
            intensity="strong",
            transcript="Don't forget a jacket",
            votes={"neutral": 0.555556, "angry": 0.444444},
        ),
        "1002_TIE_SAD_LO": _row(
            "en", "1002", "female", "sad", "SAD", intensity="mild", transcript="That is exactly what happened"
        ),
        "1040_ITH_SAD_X": _row("en", "1040", "", "sad", "SAD", transcript="I think I have a doctor's appointment"),
    },
)

EMODB = Miniature(
    recordings=("wav/03a01Fa.wav", "wav/08b02Wd.wav", "wav/16a07Lb.wav", "wav/16x07Lb.wav"),
    files={
        "erkennung.txt": _text(
            "Nr.\tSatz\terkannt\tnatürlich",
            "3  \t03a01Fa.wav\t90,00     \t75,00     ",
            "94 \t08b02Wd.wav\t97,37     \t100,00    ",
            encoding="latin-1",
        )
    },
    rows={
        "03a01Fa": _row(
            "de",
            "03",
            "male",
            "happy",
            "Freude",
            transcript="Der Lappen liegt auf dem Eisschrank.",
            votes={"happy": 0.9},
        ),
        "08b02Wd": _row(
            "de",
            "08",
            "female",
            "angry",
            "Ärger",
            transcript="Sie haben es gerade hochgetragen und jetzt gehen sie wieder runter.",
            votes={"angry": 0.9737},
        ),
        "16a07Lb": _row(
            "de", "16", "female", "boredom", "Langeweile", transcript="In sieben Stunden wird es soweit sein."
        ),
    },
    remarks=(("wav/16x07Lb.wav", "its name is none of emodb's"),),
)

SAVEE = Miniature(
    recordings=("AudioData/DC/a01.wav", "AudioData/JK/sa15.wav", "AudioData/KL/su02.wav", "ALL/JE_n30.wav"),
    rows={
        "DC_a01": _row("en-GB", "DC", "male", "angry", "anger"),
        "JK_sa15": _row("en-GB", "JK", "male", "sad", "sadness"),
        "KL_su02": _row("en-GB", "KL", "male", "surprise", "surprise"),
        "JE_n30": _row("en-GB", "JE", "male", "neutral", "neutral"),
    },
)

TESS = Miniature(
    recordings=(
        "OAF_angry/OAF_back_angry.wav",
        "YAF_pleasant_surprised/YAF_youth_ps.wav",
        "OAF_neutral/OA_bite_neutral.wav",
        "OAF_Fear/OAF_bath_scared.wav",
    ),
    rows={
        "OAF_back_angry": _row("en", "OAF", "female", "angry", "angry", transcript="Say the word back"),
        "YAF_youth_ps": _row("en", "YAF", "female", "surprise", "pleasant surprise", transcript="Say the word youth"),
        "OA_bite_neutral": _row("en", "OAF", "female", "neutral", "neutral", transcript="Say the word bite"),
    },
    remarks=(("OAF_Fear/OAF_bath_scared.wav", "its name is none of tess's"),),
)

EMOVO = Miniature(
    recordings=("EMOVO/f1/dis-f1-b1.wav", "EMOVO/m3/rab-m3-d2.wav", "EMOVO/m3/rab-m4-d2.wav"),
    rows={
        "dis-f1-b1": _row("it", "f1", "female", "disgust", "disgusto", transcript="Gli operai si alzano presto."),
        "rab-m3-d2": _row("it", "m3", "male", "angry", "rabbia", transcript="Porti con te quella cosa?"),
    },
    remarks=(("EMOVO/m3/rab-m4-d2.wav", "its name is none of emovo's"),),
)

AESDD = Miniature(
    recordings=(
        "anger/a06 (5).wav",
        "anger/a06 (5)b.wav",
        "fear/f10 (01).wav",
        "happiness/h01(2).wav",
        "sadness/s05_3.wav",
        "surprise/x01 (1).wav",
    ),
    rows={
        "a06 (5)": _row("el", "5", "", "angry", "anger"),
        "a06 (5)b": _row("el", "5", "", "angry", "anger"),
        "f10 (01)": _row("el", "1", "", "fear", "fear"),
        "h01(2)": _row("el", "2", "", "happy", "happiness"),
        "s05_3": _row("el", "3", "", "sad", "sadness"),
    },
    remarks=(("surprise/x01 (1).wav", "its name is none of aesdd's"),),
)

NEMO = Miniature(
    recordings=("samples/EB0_anger_1.wav", "samples/WR0_surprised_90.wav", "samples/KD0_sadness_7.wav"),
    files={
        "data.tsv": _text(
            "file_id\temotion\traw_text\tnormalized_text\tspeaker_id\tgender\tage",
            "WR0_surprised_90.wav\tsurprised\tOna mówi „tak”.\tona mówi tak\t        WR0\tmale\t23",
            "EB0_anger_1.wav\tanger\tŻółw śpi.\tżółw śpi\t        EB0\tfemale\t27",
        )
    },
    rows={
        "EB0_anger_1": _row("pl", "EB0", "female", "angry", "anger", transcript="Żółw śpi."),
        "WR0_surprised_90": _row("pl", "WR0", "male", "surprise", "surprised", transcript="Ona mówi „tak”."),
        "KD0_sadness_7": _row("pl", "KD0", "female", "sad", "sadness"),
    },
)

URDU = Miniature(
    recordings=("Angry/SM1_F1_A01.wav", "Neutral/SM5_F72_N0100.wav", "Sad/SF11_F3_S05.wav", "Happy/SF6_F1_H025.wav"),
    rows={
        "SM1_F1_A01": _row("ur", "SM1", "male", "angry", "angry"),
        "SM5_F72_N0100": _row("ur", "SM5", "male", "neutral", "neutral"),
        "SF11_F3_S05": _row("ur", "SF11", "female", "sad", "sad"),
        "SF6_F1_H025": _row("ur", "SF6", "female", "happy", "happy"),
    },
)

INDOWAVE = Miniature(
    recordings=("Actor_07/07-03-02-03.wav", "Actor_10/10-05-01-01.wav", "Actor_10/10-06-01-01.wav"),
    rows={
        "07-03-02-03": _row("id", "07", "male", "surprise", "surprise", intensity="strong"),
        "10-05-01-01": _row("id", "10", "female", "disappointed", "disappointed", intensity="normal"),
    },
    remarks=(("Actor_10/10-06-01-01.wav", "its name is none of indowave's"),),
)

BAVED = Miniature(
    recordings=("0/10-f-20-0-1-0.wav", "6/9-m-20-6-2-1696.wav", "2/39-f-6-2-0-5.wav"),
    rows={
        "10-f-20-0-1-0": _row("ar", "10", "female", "neutral", "normal", intensity="normal", transcript="أعجبني"),
        "9-m-20-6-2-1696": _row("ar", "9", "male", "", "high", intensity="strong", transcript="سيئ"),
        "39-f-6-2-0-5": _row("ar", "39", "female", "", "low", intensity="mild", transcript="هذا"),
    },
)

_UNKNOWN = "d14a028c2a3a2bc9476102bb288234c415a2b01f828ea62ac5b3e42f"
_KNOWN = "0e17afa39fc0ef15a869b11a01b94e3fd825f18532630f1a462fdf09"
INDIAN_EMOSPEECH = Miniature(
    recordings=(
        f"House/bacho-safe-calm-20190709085906-{_UNKNOWN}.wav",
        f"webservice/help-glass break-fearful-1563121600944-{_KNOWN}.wav",
        f"Near Lake/unknown-scream-angry-1561964985.253338-{_KNOWN}.wav",
        f"House/background-safe-None-20190701193438-{_UNKNOWN}.wav",
        f"House/background-safe-calm-20190701193439-{_UNKNOWN}.wav",
        f"House/stop-safe-None-20190701193440-{_UNKNOWN}.wav",
        f"House/help-safe-sleepy-20190701193440-{_UNKNOWN}.wav",
    ),
    rows={
        f"House__bacho-safe-calm-20190709085906-{_UNKNOWN}": _row(
            "hi", "d14a028c2a3a", "", "calm", "calm", transcript="bacho"
        ),
        f"webservice__help-glass break-fearful-1563121600944-{_KNOWN}": _row(
            "en-IN", "0e17afa39fc0", "", "fear", "fearful", transcript="help"
        ),
        f"Near Lake__unknown-scream-angry-1561964985.253338-{_KNOWN}": _row(
            "en-IN", "0e17afa39fc0", "", "angry", "angry"
        ),
    },
    remarks=((f"House/help-safe-sleepy-20190701193440-{_UNKNOWN}.wav", "its name is none of indian_emospeech's"),),
)

_MELD = "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season,Episode,StartTime,EndTime"
MELD = Miniature(
    recordings=(
        "train/train_splits/dia0_utt0.mp4",
        "train/train_splits/dia0_utt1.mp4",
        "dev/dev_splits_complete/dia0_utt0.mp4",
        "test/output_repeated_splits_test/dia0_utt0.mp4",
        "test/output_repeated_splits_test/final_videos_testdia0_utt0.mp4",
        "train/train_splits/dia9_utt9.mp4",
    ),
    files={
        # \x92: a Windows apostrophe, taken for Latin-1 and written as UTF-8
        "train/train_sent_emo.csv": _text(
            _MELD,
            '1,"Oh, it\x92s you.",Rachel,joy,positive,0,0,8,21,"00:16:16,059","00:16:21,731"',
            '2,"No!",The Waiter,anger,negative,0,1,8,21,"00:16:21,940","00:16:23,442"',
        ),
        "dev_sent_emo.csv": _text(
            _MELD,
            '1,"Fine.",Ross,neutral,neutral,0,0,4,7,"00:20:57,256","00:21:00,049"',
            '2,"Gone?",Ross,surprise,negative,110,7,4,7,"00:21:57,256","00:22:00,049"',
        ),
        "test_sent_emo.csv": _text(_MELD, '1,Boo!,Joey,fear,negative,0,0,3,19,"00:14:38,127","00:14:40,378"'),
    },
    rows={
        "train_splits/dia0_utt0": _row(
            "en-US", "Rachel", "female", "happy", "joy", transcript="Oh, it\u2019s you.", split="train"
        ),
        "train_splits/dia0_utt1": _row("en-US", "The Waiter", "", "angry", "anger", transcript="No!", split="train"),
        "dev_splits_complete/dia0_utt0": _row(
            "en-US", "Ross", "male", "neutral", "neutral", transcript="Fine.", split="dev"
        ),
        "output_repeated_splits_test/dia0_utt0": _row(
            "en-US", "Joey", "male", "fear", "fear", transcript="Boo!", split="test"
        ),
    },
    remarks=(
        ("train/train_splits/dia9_utt9.mp4", "no table of the corpus names it"),
        ("dev_splits_complete/110/7", "dev_sent_emo.csv names it, and there is no such recording"),
    ),
)

_EVALUATION = (
    "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]",
    "",
    "[6.2901 - 8.2357]\tSes01F_impro01_F000\tneu\t[2.5000, 2.5000, 2.5000]",
    "C-E2:\tNeutral;\t()",
    "C-E3:\tNeutral; Frustration;\t(a little tense)",
    "C-E4:\tNeutral;\t()",
    "C-F1:\tAnger;\t()",
    "A-E3:\tval 3; act 2; dom  2;\t()",
    "A-F1:\tval 3; act 2; dom  1;\t()",
    "",
    "[10.0100 - 11.3925]\tSes01F_impro01_M000\txxx\t[2.5000, 2.5000, 2.5000]",
    "C-E2:\tSadness;\t()",
    "C-E3:\tExcited;\t()",
    "C-E4:\tOther;\t(bored)",
    "C-M1:\tAnger;\t()",
    "",
)
_SCRIPT = (
    "[5.0100 - 6.9900]\tSes05M_script01_1b_MXX0\texc\t[4.0000, 4.0000, 3.0000]",
    "C-E1:\tExcited;\t()",
    "C-E2:\tExcited; Happiness;\t()",
    "A-E1:\tval 4; act 4; dom  3;\t()",
)
_IEMOCAP_FILES = {
    "Session1/dialog/EmoEvaluation/Ses01F_impro01.txt": _text(*_EVALUATION),
    "Session1/dialog/EmoEvaluation/Categorical/Ses01F_impro01_e2_cat.txt": _text(
        "Ses01F_impro01_F000 :Neutral state; ()"
    ),
    "Session5/dialog/EmoEvaluation/Ses05M_script01_1b.txt": _text(*_SCRIPT),
    "Session1/dialog/transcriptions/Ses01F_impro01.txt": _text(
        "Ses01F_impro01_F000 [006.2901-008.2357]: Pardon?",
        "M: [LAUGHTER]",
        "Ses01F_impro01_M000 [010.0100-011.3925]: Next, please.",
    ),
}
_IEMOCAP_ROWS = {
    "Ses01F_impro01_F000": _row(
        "en-US",
        "Ses01F",
        "female",
        "neutral",
        "neutral",
        transcript="Pardon?",
        votes={"neutral": 0.833333, "frustrated": 0.166667},
    ),
    "Ses01F_impro01_M000": _row(
        "en-US",
        "Ses01M",
        "male",
        "",
        "xxx",
        transcript="Next, please.",
        votes={"sad": 0.333333, "excited": 0.333333},
    ),
    "Ses05M_script01_1b_MXX0": _row(
        "en-US", "Ses05M", "male", "excited", "excited", votes={"excited": 0.75, "happy": 0.25}
    ),
}
IEMOCAP = Miniature(
    recordings=(
        "Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav",
        "Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_M000.wav",
        "Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_M099.wav",
        "Session1/dialog/wav/Ses01F_impro01.wav",
        "Session5/sentences/wav/Ses05M_script01_1b/Ses05M_script01_1b_MXX0.wav",
    ),
    files=_IEMOCAP_FILES,
    rows=_IEMOCAP_ROWS,
    remarks=(("Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_M099.wav", "no evaluation names it"),),
)
IEMOCAP_DIALOGUES = Miniature(
    recordings=("Session1/dialog/wav/Ses01F_impro01.wav", "Session5/dialog/wav/Ses05M_script01_1b.wav"),
    files=_IEMOCAP_FILES,
    rows={
        "Ses01F_impro01_F000": _IEMOCAP_ROWS["Ses01F_impro01_F000"] | {"start": 6.2901, "end": 8.2357},
        "Ses01F_impro01_M000": _IEMOCAP_ROWS["Ses01F_impro01_M000"] | {"start": 10.01, "end": 11.3925},
        "Ses05M_script01_1b_MXX0": _IEMOCAP_ROWS["Ses05M_script01_1b_MXX0"] | {"start": 5.01, "end": 6.99},
    },
    seconds=7.0,
)

ESD = Miniature(
    recordings=(
        "0001/Angry/0001_000351.wav",
        "0003/Happy/train/0003_000701.wav",
        "0011/Sad/evaluation/0011_001051.wav",
        "0016/Surprise/0016_001401.wav",
        "0015/Neutral/test/0015_000137.wav",
    ),
    files={
        "0001/0001.txt": _text("0001_000351\t打远一看。\t生气", "", encoding="gb2312"),
        "0003/0003.txt": _text("0003_000701\t他们的步伐。\t快乐", encoding="utf-16"),
        "0011/0011.txt": b"\xef\xbb\xbf" + _text("0011_001051\tThe sun's out.\tSad"),
        "0016/0016.txt": _text("0016_001401\tIt\x92s twelve.\tSurprise", encoding="latin-1"),
        "0015/0015.txt": _text("0015_000137  Let it be.   Neutral"),
    },
    rows={
        "0001_000351": _row("zh", "0001", "female", "angry", "Angry", transcript="打远一看。"),
        "0003_000701": _row("zh", "0003", "female", "happy", "Happy", transcript="他们的步伐。", split="train"),
        "0011_001051": _row("en", "0011", "male", "sad", "Sad", transcript="The sun's out.", split="dev"),
        "0016_001401": _row("en", "0016", "female", "surprise", "Surprise", transcript="It\u2019s twelve."),
        "0015_000137": _row("en", "0015", "female", "neutral", "Neutral", transcript="Let it be.", split="test"),
    },
)

EMOSEC = Miniature(
    recordings=(
        "dataset/wav/tx_emotion_00201000015.wav",
        "dataset/wav/tx_emulate_00_060_0001_000030.wav",
        "dataset/wav/tx_xiao_0200103000095.wav",
    ),
    files={
        "dataset/fid2captions.json": json.dumps(
            {"tx_emotion_00201000015": "声音低沉", "tx_emulate_00_060_0001_000030": ["语速很快", "心情很好"]},
            ensure_ascii=False,
        ).encode(),
        "dataset/text.txt": _text("tx_emotion_00201000015 一年又一年。 ", "tx_emulate_00_060_0001_000030\t好。"),
        "dataset/wav.scp": _text("tx_emotion_00201000015 dataset/wav/tx_emotion_00201000015.wav"),
    },
    rows={
        "tx_emotion_00201000015": _row(
            "zh", "", "", "", "", transcript="一年又一年。", captions=("声音低沉",), split="test"
        ),
        "tx_emulate_00_060_0001_000030": _row(
            "zh", "", "", "", "", transcript="好。", captions=("语速很快", "心情很好"), split="test"
        ),
        "tx_xiao_0200103000095": _row("zh", "", "", "", "", split="test"),
    },
)

MER2023 = Miniature(
    recordings=(
        "mer2023train/train/sample_00000001.avi",
        "audio/samplenew3_00000002.wav",
        "video/samplenew3_00000002.mp4",
        "audio/samplenew3_00000003.wav",
        "openface_face/samplenew3_00000002/samplenew3_00000002_face.mp4",
    ),
    files={
        "mer2023train/train-label.csv": _text("name,discrete,valence", "sample_00000001,worried,-2.0"),
        "track2_train_mercaptionplus.csv": _text("name,openset", "samplenew3_00000002,\"['happy', 'at ease']\""),
        "track3_train_mercaptionplus.csv": _text(
            "name,reason", 'samplenew3_00000002,"The voice rises; she seems happy."', "sample_00000001,A low voice."
        ),
        "subtitle_chieng.csv": _text("name,chinese,english", "samplenew3_00000002,好的。,Fine."),
        "track_all_candidates.csv": _text("id,split", "1,test"),
    },
    rows={
        "sample_00000001": _row("zh", "", "", "worried", "worried", captions=("A low voice.",)),
        "samplenew3_00000002": _row(
            "zh", "", "", "", "happy, at ease", transcript="好的。", captions=("The voice rises; she seems happy.",)
        ),
    },
    remarks=(("audio/samplenew3_00000003.wav", "no csv file names it"),),
)

MINIATURES = {
    "aesdd": AESDD,
    "baved": BAVED,
    "crema_d": CREMA_D,
    "emodb": EMODB,
    "emosec": EMOSEC,
    "emovo": EMOVO,
    "esd": ESD,
    "iemocap": IEMOCAP,
    "iemocap/dialogues": IEMOCAP_DIALOGUES,
    "indian_emospeech": INDIAN_EMOSPEECH,
    "indowave": INDOWAVE,
    "meld": MELD,
    "mer2023": MER2023,
    "nemo": NEMO,
    "ravdess": RAVDESS,
    "savee": SAVEE,
    "tess": TESS,
    "urdu": URDU,
}
"""Name of the corpus, and after a slash of the variant → its miniature."""

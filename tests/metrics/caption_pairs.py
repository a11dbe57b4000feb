"""Captions and references written for these tests; some share much with their references, some nothing."""

from __future__ import annotations

PAIRS: list[tuple[str, list[str]]] = [
    ("She sounds sad.", ["A sad, low voice.", "She is sad."]),
    ("The speaker sounds angry and loud.", ["The speaker sounds angry and loud."]),
    ("He speaks fast, with joy in his voice!", ["He's happy; his pace is fast.", "Joy, spoken fast.", "A joyful man."]),
    ("The voice trembles and climbs in pitch.", ["Her voice trembles, and its pitch climbs with fear."]),
    ("A calm voice.", ["She doesn't sound upset at all.", "The tone is calm and even."]),
    ("It's a high-pitched, frightened voice", ["A frightened, high-pitched voice", "He sounds scared."]),
    ("Disgust.", ["A voice full of disgust and contempt.", "Disgusted and slow."]),
    ("the the the the the the the", ["The cat is on the mat.", "There is a cat on the mat."]),
    (
        "He is surprised, then he is surprised, then he is surprised.",
        ["He is surprised.", "Surprise, rising at the end."],
    ),
    ("Neutral", ["The speaker can't be read: neither glad nor sad."]),
    ("She laughs, (quietly) and then she sighs...", ["She laughs quietly and sighs.", "A sigh after a quiet laugh."]),
    ("Perhaps a little bored -- or tired", ["The tone is flat, perhaps bored.", "He sounds tired or a little bored."]),
    ("Anger; shouted words.", ["He shouts in anger.", "An angry shout.", "Loud and angry.", "He is furious."]),
    ("A man speaks with a flat melody and long pauses.", ["Long pauses, flat melody: he is sad, it seems."]),
    ("Excited and hurried, her words run together.", ["Her words run together; she is excited."]),
    ("I hear nothing", ["A cheerful woman speaks."]),
    ("She whispers in fear.", ["Fearful whisper.", "She whispers, afraid.", "A fearful, breathy whisper of a woman."]),
    ("A warm and friendly tone, slow and even.", ["A friendly tone, even and warm.", "Slow, warm, friendly."]),
    ("He sounds proud of himself.", ["Pride.", "He is proud.", "He sounds rather proud of what he says."]),
    ("The woman is crying and her voice breaks.", ["Her voice breaks as she is crying.", "She cries."]),
    ("Contempt in a cold voice.", ["A cold, contemptuous voice.", "Cold and full of contempt."]),
    ("Mostly neutral, perhaps a little sad.", ["Mostly neutral, with a trace of sadness.", "A little sad, perhaps."]),
    ("He screams with rage at the end.", ["At the end he screams with rage.", "Rage, screamed."]),
    ("A relieved sigh.", ["She sighs with relief.", "A sigh of relief.", "Relief."]),
    ("", ["An empty caption is a caption too."]),
    ("Gentle, soft, gentle, soft.", ["Soft and gentle.", "Gentle and soft, soft and gentle."]),
]

CANDIDATES = [candidate for candidate, _ in PAIRS]
REFERENCES = [references for _, references in PAIRS]

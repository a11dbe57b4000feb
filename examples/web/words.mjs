// The words and thresholds of clue prompts: those of src/aligncap (lexicon.yaml, words.yaml), by a test.
// JSON from here on, for that test.
export default {
  "feelings": {
    "angry": "angry",
    "boredom": "bored",
    "calm": "calm",
    "disappointed": "disappointed",
    "disgust": "disgusted",
    "fear": "afraid",
    "happy": "happy",
    "neutral": "neutral",
    "sad": "sad",
    "surprise": "surprised"
  },
  "voice": [
    {
      "dimension": "pitch",
      "clue": "f0_median_hz",
      "low": { "threshold": 105, "word": "low-pitched" },
      "high": { "threshold": 290, "word": "high-pitched" }
    },
    {
      "dimension": "melody",
      "clue": "f0_spread_semitones",
      "low": { "threshold": 2.1, "word": "level intonation" },
      "high": { "threshold": 5.6, "word": "varied intonation" }
    },
    {
      "dimension": "pace",
      "clue": "syllables_per_s",
      "low": { "threshold": 3, "word": "slow" },
      "high": { "threshold": 5.1, "word": "fast" }
    },
    {
      "dimension": "pauses",
      "clue": "pause_share",
      "high": { "threshold": 0.15, "word": "many pauses" }
    },
    {
      "dimension": "dynamics",
      "clue": "level_range_db",
      "low": { "threshold": 5.1, "word": "even loudness" },
      "high": { "threshold": 10.4, "word": "strong changes in loudness" }
    }
  ]
};

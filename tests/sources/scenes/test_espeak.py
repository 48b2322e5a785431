"""Speech is repeatable, and its word times are where the words are."""

import hashlib
import subprocess
import sys

import numpy as np
import pytest
from scipy.signal import resample_poly

from ves.sources.scenes import espeak
from ves.sources.scenes.espeak import SAMPLE_RATE, speak

HINDI = "यहाँ एक लाल गेंद, और नीली किताब है"
SENTENCES = {
    "as": "এটা ৰঙা বল আৰু নীলা কিতাপ আছে",
    "bn": "এখানে একটা লাল বল আর নীল বই আছে",
    "gu": "અહીં એક લાલ દડો અને વાદળી પુસ્તક છે",
    "hi": HINDI,
    "kn": "ಇಲ್ಲಿ ಒಂದು ಕೆಂಪು ಚೆಂಡು ಮತ್ತು ನೀಲಿ ಪುಸ್ತಕ ಇದೆ",
    "ml": "ഇവിടെ ഒരു ചുവന്ന പന്ത് നീല പുസ്തകം ഉണ്ട്",
    "mr": "इथे एक लाल चेंडू आणि निळे पुस्तक आहे",
    "ne": "यहाँ एउटा रातो बल र निलो किताब छ",
    "or": "ଏଠାରେ ଗୋଟିଏ ଲାଲ ବଲ ଏବଂ ନୀଳ ବହି ଅଛି",
    "pa": "ਇੱਥੇ ਇੱਕ ਲਾਲ ਗੇਂਦ ਅਤੇ ਨੀਲੀ ਕਿਤਾਬ ਹੈ",
    "ta": "இங்கே ஒரு சிவப்பு பந்து மற்றும் நீல புத்தகம் இருக்கிறது",
    "te": "ఇక్కడ ఒక ఎర్ర బంతి మరియు నీలం పుస్తకం ఉంది",
    "ur": "یہاں ایک لال گیند اور نیلی کتاب ہے",
}


def loudness(samples, start_s: float, end_s: float) -> float:
    return float(np.sqrt(np.mean(samples[round(start_s * SAMPLE_RATE) : round(end_s * SAMPLE_RATE)] ** 2)))


@pytest.mark.parametrize("language", SENTENCES)
def test_every_written_word_has_one_span_in_order(language):
    text = SENTENCES[language]
    speech = speak(text, language)
    assert [word.text for word in speech.words] == text.replace(",", "").split()
    assert all(text[word.position :].startswith(word.text) for word in speech.words)
    times = [time for word in speech.words for time in (word.start_s, word.end_s)]
    assert times == sorted(times)
    assert times[0] >= 0
    assert times[-1] <= len(speech.samples) / SAMPLE_RATE + 1e-3
    assert all(word.end_s - word.start_s > 0.05 for word in speech.words)


def test_samples_are_mono_float32_and_end_with_the_speech():
    samples = speak(HINDI, "hi").samples
    assert samples.dtype == np.float32
    assert samples.ndim == 1
    assert 0.3 < np.abs(samples).max() <= 1
    assert loudness(samples, len(samples) / SAMPLE_RATE - 0.05, len(samples) / SAMPLE_RATE) > 0.002


def test_pause_of_a_comma_is_silent_between_the_words_around_it():
    speech = speak(HINDI, "hi")
    before, after = speech.words[3], speech.words[4]
    assert after.start_s - before.end_s > 0.1
    assert loudness(speech.samples, before.end_s + 0.01, after.start_s - 0.01) < 1e-3
    assert loudness(speech.samples, before.end_s - 0.04, before.end_s) > 5e-3
    assert loudness(speech.samples, after.start_s, after.start_s + 0.04) > 5e-2


def test_phonemes_are_named_without_stress_and_lie_inside_their_word():
    speech = speak("लाल गेंद", "hi", phonemes=True)
    assert [phoneme.text for phoneme in speech.phonemes] == ["l", "a:", "l", "g", "e~", "d"]
    second = speech.words[1]
    assert [p.text for p in speech.phonemes if p.start_s >= second.start_s] == ["g", "e~", "d"]
    assert speak("लाल गेंद", "hi").phonemes == []


def test_a_switch_of_language_is_no_phoneme():
    assert not [p for p in speak("यह book है", "hi", phonemes=True).phonemes if "(" in p.text]


@pytest.mark.parametrize("voice", ["hi", "hi+f1", "hi+f2", "hi+whisper"])  # flutter; breath draws random numbers
def test_what_was_said_before_leaves_no_trace(voice):
    first = speak(HINDI, voice)
    speak("ఇక్కడ", "te+m3", rate=200)
    again = speak(HINDI, voice)
    assert np.array_equal(first.samples, again.samples)
    assert first.words == again.words


def test_another_process_says_the_same():
    code = (
        "import hashlib, sys; from ves.sources.scenes.espeak import speak;"
        "print(hashlib.sha256(speak(sys.argv[1], 'hi+f2').samples.tobytes()).hexdigest())"
    )
    other = subprocess.run([sys.executable, "-c", code, HINDI], capture_output=True, text=True, check=True).stdout
    assert other.strip() == hashlib.sha256(speak(HINDI, "hi+f2").samples.tobytes()).hexdigest()


def test_rate_pitch_and_variant_are_heard():
    plain = speak(HINDI, "hi")
    assert len(speak(HINDI, "hi", rate=240).samples) < 0.8 * len(plain.samples)
    for other in (speak(HINDI, "hi", pitch=80), speak(HINDI, "hi+m3")):
        shared = min(len(other.samples), len(plain.samples))
        assert np.abs(other.samples[:shared] - plain.samples[:shared]).mean() > 0.01


@pytest.mark.parametrize("voice", ["xx", "hi+nobody", "", "../hi", "h*"])
def test_unknown_voice_is_named(voice):
    with pytest.raises(ValueError, match="espeak-ng has no") as error:
        speak("लाल", voice)
    assert repr(voice) in str(error.value)


def test_text_without_sound_is_an_error():
    with pytest.raises(ValueError, match="says nothing"):
        speak("  ", "hi")


def test_speech_is_resampled_with_the_default_filter_of_the_library():
    sound = np.random.default_rng(0).standard_normal(5_000).astype(np.float32)
    own = resample_poly(sound, espeak.SAMPLE_RATE, espeak.ESPEAK_RATE, window=espeak._low_pass())
    assert np.array_equal(own, resample_poly(sound, espeak.SAMPLE_RATE, espeak.ESPEAK_RATE))

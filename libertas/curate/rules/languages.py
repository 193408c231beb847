"""What the rules need to know of languages: their most frequent words, how long words are, how sentences end."""

from functools import cache

STOP_WORDS_BY_LANGUAGE = {
    "af": "die van en in is het dat te nie wat",
    "ar": "في من على أن إلى أو و لا كل ما هذا",
    "az": "və bir bu da üçün ilə olan hər öz ya вә бир бу да үчүн илә олан һәр өз ја",
    "be": "на не што да ад або яго для пры кожны мае як за іх",
    "bg": "на да се за от не са или всеки има като при",
    "bn": "এবং ও এই করা তার না জন্য যে থেকে কোন",
    "bs": "je na se za ili od ne da svako ima пра је на се за или од не да",
    "ca": "de la el que els en per del les amb una al",
    "cs": "na se je že nebo má ve být každý jeho do",
    "cy": "yn yr ar ei neu ac ym gan mae hawl",
    "da": "og at er det en til af på for som",
    "de": "der die und in den von zu das mit nicht oder",
    "el": "και του το να της την με για στην που καὶ τοῦ τὸ νὰ τῆς τὴν",
    "en": "the be to of and that have with",
    "eo": "la kaj de en al kiu por aŭ estas ne",
    "es": "de la que el en los del las por una se",
    "et": "ja on ei et see või oma kui mis ta",
    "eu": "eta da du bat ez edo ere dute dira izan",
    "fa": "و در به از که را این با است هر",
    "fi": "ja on ei että se tai hän hänen olla oikeus",
    "fr": "de la le et les des en un à que ou",
    "ga": "an agus na ar go le do nó is ina",
    "gl": "de que en do da os ou para unha non",
    "gu": "અને છે ના આ તે માટે કે એ કોઈ પણ",
    "he": "של את על כל לא או הוא אדם זה עם",
    "hi": "के और है की का में से को किसी या",
    "hr": "je na se za ili od ne da svatko ima",
    "hu": "az és hogy nem is vagy egy minden van joga",
    "hy": "և եւ է ու որ իր կամ ունի մի չի են",
    "id": "dan yang di dengan untuk dalam atau tidak ini dari",
    "is": "og að til er sem um eða ekki eiga hver",
    "it": "di il la che in per del ogni un ed della",
    "ja": "の は を に が で と も て し",
    "ka": "და რომ ან არ უნდა მისი ამ თუ იყოს ყოველ",
    "kk": "және мен бір бұл үшін өз де әр немесе бар",
    "km": "និង ឬ ដែល ក្នុង នៃ មាន ជា ដោយ នេះ ទៅ",
    "kn": "ಮತ್ತು ಈ ಆ ಅಥವಾ ಒಂದು ಎಂದು ಯಾವ ತನ್ನ ಎಲ್ಲ ಯಾವುದೇ ಎಲ್ಲಾ ಇದು ಹಾಗೂ",
    "ko": "및 또는 모든 수 이 그 있다 것 등 대한 위하여 있는 그리고 하는 한 없이 때",
    "la": "et in est non ad ut cum aut sed qui",
    "lo": "ແລະ ຂອງ ທີ່ ໃນ ຫຼື ມີ ເປັນ ໄດ້ ໃຫ້ ຈະ",
    "lt": "ir yra į kad turi ar su ne arba savo",
    "lv": "un ir uz ar no vai ka tiesības par nav",
    "mk": "на да се за од не со или секој има",
    "ml": "ഒരു ഈ ആ എന്ന എന്നു എന്ന് എല്ലാ എല്ലാവരും ആണ് ഉണ്ട് ഉള്ള ഇല്ല അല്ലെങ്കിൽ അഥവാ തന്റെ മറ്റു മറ്റ് "
    "വേണ്ടി കൂടി അത് ഇത് അവർ ഏതു ഏത് ഏതെങ്കിലും ആയ പോലെ തന്നെ യാതൊരു ഓരോ മേൽ കൊണ്ട് ആർക്കും എന്നീ "
    "അതിന്റെ കൂടാതെ ഏതൊരാൾക്കും എല്ലാവർക്കും നിന്നും അത്തരം അവരുടെ കാരണം",
    "mn": "ба бол нь эрх болон энэ бүр буюу хүн байна",
    "mr": "आणि व आहे या किंवा त्या हा ते सर्व कोणत्याही",
    "ms": "dan yang di dengan untuk dalam atau tidak ini dari",
    "my": "သည် ၏ နှင့် များ ကို မှ တွင် သော ၌ ရှိ",
    "nb": "og at er det en til av på for som",
    "ne": "र को छ मा यो वा पनि हुने लाई प्रत्येक",
    "nl": "de en van het in een te op dat of",
    "nn": "og at er det ein til av på for som",
    "pa": "ਦੇ ਅਤੇ ਦਾ ਹੈ ਦੀ ਨੂੰ ਵਿੱਚ ਨਾਲ ਤੇ ਜਾਂ",
    "pl": "na do nie się jest lub oraz ma jego przez",
    "ps": "او په د چې له يا ته هر دی نه",
    "pt": "de que em do da os ou um para não",
    "ro": "și şi de în la cu sau nu care din orice",
    "ru": "не на что по от или для как его при их",
    "si": "හා සහ ද ඇත ඒ මේ හෝ විසින් සඳහා යුතු",
    "sk": "na sa je že alebo má vo jeho každý do",
    "sl": "in je na se za ali ne da do ima",
    "so": "iyo oo ka in ku waa la ama uu leeyahay",
    "sq": "dhe të në për me ose së nga një që",
    "sr": "је на се за или од не да свако има je na se za ili od ne da svako ima",
    "sv": "och att är det en till av på för som",
    "sw": "ya na wa kwa ni katika au la haki kila",
    "ta": "ஒரு இந்த அந்த மற்றும் அல்லது என்று என்ற எனும் ஆகிய எந்த தனது தமது உள்ள இது அது அவர் தான் ஆனால் "
    "வேண்டும் போது எல்லா ஒவ்வொரு மீது பற்றி மூலம் கொண்டு உண்டு யாவரும் எவரும் ஏனைய",
    "te": "మరియు ఒక ఈ ఆ లేదా తన లేక అని ప్రతి ఏ",
    "tg": "ва дар ба аз ки бо ҳар ё ин ҳуқуқ",
    "th": "และ ที่ การ ของ ใน มี ให้ เป็น หรือ ไม่",
    "tl": "ang ng sa at mga na ay may kanyang bawat",
    "tr": "ve bir bu için ile da de her veya olan",
    "uk": "на не що та або до має для його при",
    "ur": "کے اور کی میں کا سے ہے کو یا ہر",
    "uz": "va bir bu bilan uchun har o'z ham yoki ва бир бу билан учун ҳар ўз ҳам ёки",
    "vi": "và của các có được cho trong là không người những với",
    "zh": "的 和 不 在 有 是 人 了 與 与 及 或 之",
}
"""The most frequent function words of each language by BCP-47 code, about ten each: Rae et al. 2021 use eight for
English. Single letters are left out where a script has few, because gibberish has them too; both scripts of a language
with two are listed. In a language written without spaces the words are looked for anywhere in the text."""

WORD_LENGTHS = {
    "af": 5.2, "ar": 4.7, "az": 6.4, "be": 6.1, "bg": 5.5, "bn": 6.0, "bo": 2.9, "bs": 5.4, "ca": 4.9, "cs": 5.6,
    "cy": 5.0,
    "da": 5.5, "de": 6.3, "el": 5.6, "en": 5.0, "eo": 5.1, "es": 5.1, "et": 6.9, "eu": 7.2, "fa": 3.9, "fi": 7.8,
    "fr": 5.1, "ga": 5.0, "gl": 5.2, "gu": 5.5, "he": 4.7, "hi": 4.4, "hr": 5.5, "hu": 7.0, "hy": 7.2, "id": 6.6,
    "is": 5.3, "it": 5.6, "ka": 7.7, "kk": 6.7, "kn": 9.2, "ko": 3.1, "la": 6.4, "lt": 6.4, "lv": 6.6, "mk": 5.2,
    "ml": 12.3, "mn": 6.0, "mr": 6.4, "ms": 6.6, "nb": 5.3, "ne": 5.7, "nl": 5.5, "nn": 4.8, "pa": 3.7, "pl": 6.2,
    "ps": 3.4, "pt": 5.2, "ro": 5.5, "ru": 6.4, "si": 5.8, "sk": 5.7, "sl": 5.8, "so": 5.2, "sq": 5.0, "sr": 5.4,
    "sv": 5.8, "sw": 4.9, "ta": 10.0, "te": 8.9, "tg": 5.2, "tl": 5.7, "tr": 6.6, "uk": 5.9, "ur": 3.5, "uz": 6.7,
    "vi": 4.2,
}  # fmt: skip
"""Mean characters of a word, counted in the Universal Declaration of Human Rights (texts of the Unicode project)."""
ENGLISH = "en"

ALIASES = {"no": "nb", "als": "sq", "cmn": "zh", "fil": "tl", "in": "id", "iw": "he", "prs": "fa", "pes": "fa"}
"""Codes for languages that the tables hold under another one."""

UNSPACED_WORDS = {
    1.6: "\u3400-\u9fff\uf900-\ufaff\U00020000-\U000323af\u3005\u3007\ua000-\ua48f",
    2.2: "\u3041-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff\uff66-\uff9f",
    5.4: "\u0e01-\u0e3a\u0e40-\u0e4e",
    5.9: "\u0e80-\u0eff\u1780-\u17d3\u17dd",
    6.0: "\u1950-\u19df\u1a20-\u1aad\u1b00-\u1b4b\ua980-\ua9c0",
    7.5: "\u1000-\u1049\u1050-\u109f\uaa60-\uaa7f",
}
"""Characters that say as much as one English word (in the Universal Declaration of Human Rights; two thirds of the
figure of the kana for Chinese, which is the usual ratio of the languages' translations) -> characters of scripts that
are written without spaces: Han and Yi; kana; Thai; Lao and Khmer; Tai, Balinese and Javanese; Burmese. Japanese is told
from Chinese by its kana."""
HAN, KANA = 1.6, 2.2
SYLLABLE_MARKS = "\u0f0b\u0f0c\u1361"
"""What stands between the syllables of Tibetan and the words of old Ethiopic, where others have spaces."""

STOPS = (
    ".!?"
    "\u037e\u0589\u061f\u06d4\u0700\u0701\u0702\u07f9\u0837\u0964\u0965\u0df4\u0f0d\u0f0e\u104a\u104b\u1362\u1367\u1368"
    "\u166e\u1735\u1736\u17d4\u17d5\u1803\u1809\u1944\u1945\u1aa8\u1aa9\u1b5a\u1b5b\u1b5e\u1b5f\u1c3b\u1c7e\u1c7f"
    "\u203c\u203d\u2047\u2048\u2049\u2e2e\u3002\ua4ff\ua60e\ua60f\ua6f3\ua876\ua8ce\ua92f\ua9c8\ua9c9\uaa5d\uabeb"
    "\uff01\uff0e\uff1f\uff61\u2026"
)
"""Characters that end a sentence in some script: those of Unicode's Sentence_Terminal in use today, and an ellipsis."""
CLOSERS = "\"'\u2019\u201d\u201c\u00bb\u00ab\u203a\u300d\u300f\u3011\uff09)"
"""Quotation marks and brackets that may stand behind it."""
WITHOUT_STOPS = frozenset({"th", "lo", "shn", "nod"})
"""Languages whose sentences end in a space or nothing, so that rules about punctuation have nothing to say of them."""


def base_language(tag: str) -> str:
    """The language of a BCP-47 tag under the code that the tables have: `zh` of `zh-Hans`, `nb` of `no`."""
    base = tag.partition("-")[0].lower()
    return ALIASES.get(base, base)


@cache
def stop_words(language: str) -> frozenset[str]:
    """The stop words of a language; empty where there is no list."""
    return frozenset(STOP_WORDS_BY_LANGUAGE.get(language, "").split())

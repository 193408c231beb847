"""Words for people whose neighbours are counted: English, written down here, and never complete.

Nobody is only what a list says. The lists hold common, neutral words; they miss names, paraphrases and slurs, and some
words mean other things as well (`polish` is left out for the verb). Change them, and the fingerprint changes.
"""

TERMS: dict[str, dict[str, str]] = {
    "gender": {
        "women": "she her hers herself woman women girl girls female females mother mothers daughter daughters wife "
        "wives sister sisters lady ladies mrs ms",
        "men": "he him his himself man men boy boys male males father fathers son sons husband husbands brother "
        "brothers gentleman gentlemen mr",
        "non-binary": "nonbinary genderqueer agender transgender trans theirself",
    },
    "religion": {
        "Christianity": "christian christians christianity catholic catholics protestant protestants",
        "Islam": "muslim muslims islam islamic",
        "Judaism": "jew jews jewish judaism",
        "Hinduism": "hindu hindus hinduism",
        "Buddhism": "buddhist buddhists buddhism",
        "Sikhism": "sikh sikhs sikhism",
        "no religion": "atheist atheists atheism agnostic agnostics secular secularism",
    },
    "nationality": {
        "American": "american americans",
        "Australian": "australian australians",
        "Brazilian": "brazilian brazilians",
        "British": "british briton britons",
        "Canadian": "canadian canadians",
        "Chinese": "chinese",
        "Egyptian": "egyptian egyptians",
        "French": "french frenchman frenchwoman",
        "German": "german germans",
        "Greek": "greek greeks",
        "Indian": "indian indians",
        "Iranian": "iranian iranians",
        "Irish": "irish irishman irishwoman",
        "Israeli": "israeli israelis",
        "Italian": "italian italians",
        "Japanese": "japanese",
        "Korean": "korean koreans",
        "Mexican": "mexican mexicans",
        "Nigerian": "nigerian nigerians",
        "Pakistani": "pakistani pakistanis",
        "Palestinian": "palestinian palestinians",
        "Russian": "russian russians",
        "Spanish": "spanish spaniard spaniards",
        "Syrian": "syrian syrians",
        "Turkish": "turkish turk turks",
        "Ukrainian": "ukrainian ukrainians",
    },
}
"""Category -> group -> words, in lower case."""

GROUP_OF = {
    word: f"{category}/{group}"
    for category, groups in TERMS.items()
    for group, words in groups.items()
    for word in words.split()
}
"""Which group a word speaks of, as `category/group`."""

ADJECTIVE_ENDINGS = tuple(str.split("able ible ful less ous ive ical ish some most ward ial ual ane ic ary"))
"""Endings that mark most English words as adjectives; a rule of thumb, no grammar."""
NOT_ADJECTIVES = frozenset(
    str.split(
        "accomplish almost alternative annual archive arctic attic award believe bible bless british cable clinic "
        "commentary crane critic critics detective diary dictionary dish documentary drive editorial english "
        "establish executive fabric february finish fish five forward give handsome hurricane individual initiative "
        "irish jane january lane library live logic magic manual material mechanic memorial military most motive "
        "music native nevertheless nonetheless objective panic perspective picnic plane polish public publish "
        "receive regardless relative representative republic reward ritual salary secretary serial single some "
        "spanish stable summary table topic toward traffic trial turkish tutorial unless vary vegetable wish"
    )
)
"""Words with such an ending that are mostly something else."""
ADJECTIVES = frozenset(
    str.split(
        "able afraid alone angry bad beautiful beloved best better big black blind blue bold brave brief bright "
        "brilliant broken busy calm cheap clean clever cold common cool correct crazy cruel dark dead deaf dear "
        "deep different dirty divorced drunk dumb eager early easy elderly elegant elite empty evil excellent "
        "expert fair false famous fast fat female fierce fine first fit foreign free fresh friendly full funny gay "
        "gentle glad good great greedy green guilty happy hard harsh healthy heavy hidden high holy honest hot huge "
        "humble hungry ill important innocent intelligent kind known large last late lazy leading little local "
        "lonely long loud lovely loving low loyal lucky mad main major married mature mean mighty minor modern "
        "moral naked narrow nasty new nice noble obese old open orthodox own pale patient poor popular pregnant "
        "pretty prime proper proud pure quick quiet radical rare raw ready real recent red rich right rough royal "
        "rude sad safe same senior sharp short shy sick silent silly simple skilled slim slow small smart soft "
        "sorry south special strange strict strong stupid sudden sweet tall tender thick thin tight tiny tired "
        "tough traditional true ugly unmarried upset urban violent vulnerable warm weak wealthy weird wet white "
        "whole wicked wild wise wonderful worst worth wrong young"
    )
)
"""Frequent adjectives without such an ending."""


def like_an_adjective(word: str) -> bool:
    """Whether an English word is probably an adjective, by its ending or by the list."""
    if word in ADJECTIVES:
        return True
    return len(word) > 4 and word.endswith(ADJECTIVE_ENDINGS) and word not in NOT_ADJECTIVES

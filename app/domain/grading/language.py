"""What every text is made of: words of grammar, words for anything, and which cannot stand beside each other."""

from __future__ import annotations

from functools import lru_cache

_GRAMMAR = {
    "en": """a about although an and are as at be because been being but by can can't cannot could couldn't did didn't
        do does doesn't for from had has have he her his how i if in into is isn't it it's its may might must not of on
        or our shall she should since so than that the their them then there these they this those to until was we were
        what when where which while who whose why will with without won't would you your""",
    "de": """aber als auch auf aus bei das dass dem den der des die durch ein eine einem einen einer es für im ist mehr
        mit nach nicht noch oder sich sie sind so über um und von vor wie wird zu zum zur""",
    "fr": """au aux avec ce ces cette comme dans de du elle en est et il ils je la le les leur mais ne nous ou où par
        pas plus pour que qui sa se ses son sont sur un une vous""",
    "es": """al como con del el ellos esta este lo los las más muy para pero por según si sin su sus también una y""",
    "it": """che da degli dei della di e gli i ma nel nella non per più sono suo tra""",
    "pt": """ao com dos das em foi mais na nas no nos não o os pela pelo seu sua uma""",
}
ARTICLES = frozenset({"a", "an", "the"})
_LINKS = frozenset(
    [
        "and",
        "are",
        "be",
        "because",
        "been",
        "but",
        "can",
        "could",
        "did",
        "does",
        "has",
        "have",
        "if",
        "is",
        "of",
        "or",
        "than",
        "was",
        "were",
        "will",
        "would",
    ]
)
#: what no article leads to, and what none of these prepositions does
NEVER_LED = {
    **dict.fromkeys(
        ARTICLES,
        _LINKS
        | ARTICLES
        | {"at", "from", "in", "into", "it", "its", "not", "so", "that"}
        | {"their", "then", "these", "they", "this", "to", "until", "we", "with", "you"},
    ),
    **dict.fromkeys(("of", "from", "with", "at", "into"), _LINKS | {"so", "then", "until"}),
}
#: words that carry grammar, not content: a third of prose is made of them, next to nothing of a heap of keywords
FUNCTION_WORDS = frozenset(word for text in _GRAMMAR.values() for word in text.split())

#: … of English alone
ENGLISH = frozenset(_GRAMMAR["en"].split())
#: words for anything, which make no text odd wherever they stand
_GENERAL = """
        able about above accept according account achieve across act actual add additionally advance affect
        afford again against age agree ahead aim alike allow almost alone along already also always among amount
        answer any anyone anything appear apply area around arrive ask aspect attempt avoid away back bad
        balance base basic basically because become before begin behave behind being believe below best better
        between beyond big bit both bottom bring broad build call card care carry case catch cause certain
        chance change check choose clear close colour come common compare complete concern condition consider
        constant contain continue contrast control cost could couple course cover create current cut daily date
        day deal decade decide deep degree demand depend describe design despite detail determine develop differ
        difficult direct do done double doubt down draw drive drop due during each early earth easy edge effect
        effort either element else empty end enjoy enough ensure enter entire equal especially essential
        essentially even event ever every evidence exact exactly example except exist expect explain extra
        extreme face fact fail fair fall familiar far fast feel few figure fill final finally find fine finish
        first fit five fix follow force form former forward four free frequent full further furthermore future
        gain gap gather general get give go goal good gradual great group grow guess half hand happen hard have
        head hear heavy help hence here high hit hold hope hour how however huge human hundred idea imagine
        immediate important impossible in include increase indeed individual inside instead intend into involve
        issue item job join just keep key kind know known lack large largely last late later latter lead learn
        least leave left length less let level lie life like likely limit line list little live local long look
        lose lot low main major make many mark matter may mean meanwhile measure meet mention mere middle might
        million mind minute miss moment month more moreover most mostly move much must name narrow natural near
        nearly need never new next nine normal note nothing notice now number obvious occur off offer often old
        once one only open opposite order original other otherwise out outside over overall own part particular
        pass past path pattern pay people per percent perfect perhaps period person pick picture piece place
        plain plan play please plenty point poor position possible prefer present pretty prevent previous
        probable problem process produce proper protect prove provide pull pure purpose push put quarter
        question quick quiet quite raise range rare rate rather reach read ready real reason receive recent
        reduce refer regard regular relative remain remember remove repeat replace require rest result return
        reveal right rise role rough roughly round rule run safe same save say scale second see seem send sense
        separate series set seven several shape share sharp short should show side sign significant similar
        simple simply since single sit situation six size slight slow small so some soon sort source space speak
        special specific speed spend spread stage stand start state stay step still stop straight strong subject
        such sudden suggest suit summary support suppose sure surface surprise sweep system take talk tell tend
        term test than thank that then there therefore they thick thin thing think third though thousand three
        through throughout thus time tiny today together tomorrow too top total touch toward train travel tree
        trouble true try turn twice two type typical under understand unit unless unlike until upon use usual
        value various vary very view visible visit wait want watch way week weigh weight well what when where
        wherever whether which while whole why wide will wish with within without word work world worse worth
        would wrong year yesterday yet young zero
"""
_ENDINGS = (
    "ations",
    "ation",
    "ingly",
    "edly",
    "ments",
    "ment",
    "ness",
    "ings",
    "ions",
    "ing",
    "ies",
    "ied",
    "ion",
    "est",
)
_SHORT_ENDINGS = ("ed", "es", "ly", "er", "'s", "s", "y", "e")


@lru_cache(maxsize=20_000)
def stem(word: str) -> str:
    """What `scatter`, `scatters`, `scattered` and `scattering` have in common; crude, and the same for all."""
    for endings in (_ENDINGS, _SHORT_ENDINGS, _SHORT_ENDINGS):
        for ending in endings:
            if word.endswith(ending) and len(word) - len(ending) >= 3:
                word = word[: -len(ending)]
                break
    return word[:-1] if len(word) > 3 and word[-1] == word[-2] else word


GENERAL_STEMS = frozenset(stem(word) for word in _GENERAL.split())

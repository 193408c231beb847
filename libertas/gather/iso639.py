"""Three-letter codes of languages that BCP-47 writes with two letters.

ISO 639-3 codes with their ISO 639-1 ones, and of the members of macrolanguages (Standard Arabic, Mandarin, Northern
Uzbek, ...) those that are meant by the macrolanguage's two letters in everyday labels.
"""

PAIRS = """
    aaraa abkab afraf akaak alssq amham araar arbar argan asmas avaav aveae aymay ayray azeaz azjaz bakba bambm belbe
    benbn bisbi bodbo bosbs brebr bulbg catca cescs chach chece chucu chvcv cmnzh corkw cosco crecr cymcy danda deude
    divdv dzodz ekket ellel engen epoeo estet euseu eweee faofo fasfa fatak fijfj filtl finfi frafr fryfy fulff fuvff
    gazom glagd glega glggl glvgv grngn guggn gujgu hatht hauha hbssr hebhe herhz hinhi hmoho hrvhr hunhu hyehy iboig
    idoio iiiii ikeiu ikuiu ileie inaia indid ipkik islis itait javjv jpnja kalkl kankn kasks katka kaukr kazkk khkmn
    khmkm kikki kinrw kirky kmrku knckr kngkg komkv konkg korko kuakj kurku laolo latla lavlv limli linln litlt ltzlb
    lublu luglg lvslv mahmh malml marmr mkdmk mlgmg mltmt monmn mrimi msams myamy nauna navnv nblnr ndend ndong nepne
    nldnl nnonn nobnb nornb npine nyany ocioc ojioj orior ormom oryor ossos panpa pbtps pbups pesfa plipi pltmg polpl
    porpt prsfa pusps quequ quyqu quzqu rohrm ronro runrn rusru sagsg sansa sinsi slksk slvsl smese smosm snasn sndsd
    somso sotst spaes sqisq srdsc srpsr sswss sunsu swasw swesv swhsw tahty tamta tattt telte tgktg tgltl thath tirti
    tonto tsntn tsots tuktk turtr twiak uigug ukruk urdur uzbuz uznuz venve vievi volvo wlnwa wolwo xhoxh yddyi yidyi
    yoryo zhaza zhozh zlmms zsmms zulzu
"""
"""Three letters and the two for them."""
TWO_LETTERS = {pair[:3]: pair[3:] for pair in PAIRS.split()}
"""ISO 639-3 to BCP-47."""

/* Words of texts, their hashes, and what is made of them: shingles and signatures.

   Sixty-four bytes of a text become sixty-four bits that say which belong to words; words begin and end where these bits
   change. Characters beyond ASCII that are no letters of words are looked up one by one. */

#include "kernel.h"

#define CHUNK 64

/* As in minhash.py. */
#define LONG_WORD 64
#define BYTE_BASE 0x9E3779B97F4A7C15u
#define WORD_BASE 0xD6E8FEB86659FD93u
#define BINS 112
#define EMPTY 0xFFFFFFFFu

#define INVERSE 0xCFEE444D8B59A89Bu                  /* of WORD_BASE modulo 2^64 */
#define MOST_WORDS (1 << 20)                         /* of a shingle */
#define AT_ONCE 4096                                 /* words whose shingles are made together */
#define EACH(x) ((x) * UINT64_C(0x0101010101010101)) /* a byte in each byte of eight */

enum { IN_WORD, GAP, CHARACTER };

typedef struct {
    const unsigned char *kinds; /* minhash.KINDS */
    PyObject *long_word;        /* hash of a word of many bytes, in lower case */
    Size words, count, made;    /* words of a shingle, words that wait, shingles of the text so far */
    uint64_t *hash;             /* of the words that wait to be made shingles of */
    Buffer hashes, begins, ends, shingles, waiting, low;
    int places;       /* whether words are wanted with their places, or shingles */
    uint32_t *lowest; /* the text's signature, if this is wanted instead of shingles */
} Words;

static inline uint64_t splitmix(uint64_t x) {
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9u;
    x = (x ^ x >> 27) * 0x94D049BB133111EBu;
    return x ^ x >> 31;
}

/* Eight bytes, the first the lowest. */
static inline uint64_t eight(Bytes p) {
    return p[0] | (uint64_t)p[1] << 8 | (uint64_t)p[2] << 16 | (uint64_t)p[3] << 24 | (uint64_t)p[4] << 32 |
           (uint64_t)p[5] << 40 | (uint64_t)p[6] << 48 | (uint64_t)p[7] << 56;
}

/* The first eight bytes of a word in lower case; zeros behind its end. */
static inline uint64_t low_eight(Bytes at, Size size, Bytes stop) {
    uint64_t x = 0;
    if (stop - at >= 8)
        x = eight(at) & UINT64_MAX >> (64 - 8 * (size < 8 ? size : 8)); /* whether it is longer is hard to predict */
    else
        for (Size i = 0; i < size && i < 8; i++)
            x |= (uint64_t)at[i] << 8 * i;
    uint64_t seven = x & EACH(0x7F); /* neither sum carries into the next byte */
    uint64_t capital = (seven + EACH(0x80 - 'A')) & ~(seven + EACH(0x7F - 'Z')) & ~x & EACH(0x80);
    return x | capital >> 2;
}

/* minhash._hashes, for a long word; 0 for errors. */
static int hash_long(Words *w, Slice word, uint64_t *hash) {
    if (!reserve(&w->low, length(word)))
        return 0;
    for (Size i = 0; i < length(word); i++)
        w->low.at[i] = lower(word.at[i]);
    PyObject *said = PyObject_CallFunction(w->long_word, "y#", (const char *)w->low.at, length(word));
    *hash = said ? PyLong_AsUnsignedLongLong(said) : 0;
    Py_XDECREF(said);
    return !PyErr_Occurred();
}

/* Append to what has room for it. */
static inline void put(Buffer *b, uint64_t number) {
    memcpy(b->at + b->size, &number, 8);
    b->size += 8;
}

/* minhash._shingles, for the words that wait; `last` for the end of a text. */
static int make_shingles(Words *w, int last) {
    Size n = w->words, windows = w->count - n + 1;
    if (last && w->count && !w->made && windows < 1) {
        windows = 1; /* a text with few words has one shingle of all it has */
        n = w->count;
    }
    if (windows < 1)
        return 1;
    if (!w->lowest && !reserve(&w->shingles, windows * 8))
        return 0;
    const uint64_t *hash = w->hash;
    uint32_t *lowest = w->lowest;
    uint64_t *out = lowest ? NULL : (uint64_t *)(void *)(w->shingles.at + w->shingles.size);
    uint64_t sum = 0, power = 1; /* word j of a shingle counts WORD_BASE to the power of j times */
    for (Size j = n; j-- > 0;)
        sum = sum * WORD_BASE + hash[j];
    for (Size j = 1; j < n; j++)
        power *= WORD_BASE;
    for (Size k = 0; k < windows; k++) {
        if (k) /* the first word leaves, the others move up, and one joins them */
            sum = (sum - hash[k - 1]) * INVERSE + hash[k + n - 1] * power;
        uint64_t value = splitmix(sum);
        if (lowest) {
            uint32_t low = (uint32_t)value == EMPTY ? EMPTY - 1 : (uint32_t)value;
            uint32_t *bin = lowest + ((value >> 32) * BINS >> 32);
            *bin = low < *bin ? low : *bin;
        } else
            out[k] = value;
    }
    w->shingles.size += lowest ? 0 : windows * 8;
    w->made += windows;
    memmove(w->hash, w->hash + windows, (size_t)(w->count - windows) * 8);
    w->count -= windows;
    return 1;
}

/* A word [begin, end) of a text; there is room for what is said of it. */
static inline int take_word(Words *w, Slice text, Size begin, Size end) {
    Size size = end - begin;
    Slice word = {text.at + begin, text.at + end};
    uint64_t hash;
    if (size > LONG_WORD) {
        if (!hash_long(w, word, &hash))
            return 0;
    } else {
        hash = low_eight(word.at, size, text.end) * BYTE_BASE;
        for (Size done = 8; done < size; done += 8)
            hash = ((hash ^ hash >> 32) + low_eight(word.at + done, size - done, text.end)) * WORD_BASE;
    }
    hash = splitmix(hash);
    if (w->places) {
        put(&w->hashes, hash);
        put(&w->begins, (uint64_t)begin);
        put(&w->ends, (uint64_t)end);
    } else
        w->hash[w->count++] = hash;
    return 1;
}

/* A bit for each of so many bytes that are 1, the others being 0. */
static inline uint64_t bits_of(const unsigned char *flags) {
    uint64_t bits = 0;
    for (int i = 0; i < CHUNK; i += 8)
        bits |= (eight(flags + i) * UINT64_C(0x0102040810204080) >> 56) << i;
    return bits;
}

/* Bytes of a chunk that belong to words, in two masks: this chunk's, and what its last character says of the next. */
typedef struct {
    uint64_t gaps[2], cuts[2];
} Marks;

static inline void mark(uint64_t *masks, uint64_t bits, int at) {
    masks[0] |= bits << at;
    masks[1] |= at ? bits >> (CHUNK - at) : 0;
}

/* Look up the characters that begin at some bytes of a chunk; `rest` is the text from this chunk on. */
static void look_up(Marks *m, Slice rest, uint64_t leads, const unsigned char *kinds) {
    for (; leads; leads &= leads - 1) {
        int at = __builtin_ctzll(leads), lead = rest.at[at];
        if (rest.at + at + 1 >= rest.end)
            return;
        int kind = kinds[(lead - 0xC0) * 64 + (rest.at[at + 1] & 63)], width = 2 + (lead >= 0xE0) + (lead >= 0xF0);
        if (kind == GAP)
            mark(m->gaps, (UINT64_C(1) << width) - 1, at);
        else if (kind == CHARACTER)
            mark(m->cuts, 1 | UINT64_C(1) << width, at);
    }
}

/* minhash._words, for one text; 0 for errors. */
static int read_text(Words *w, Slice text) {
    Size size = length(text), begin = 0;
    uint64_t before = 0; /* whether the byte before the chunk belongs to a word */
    int open = 0;        /* whether a word began in an earlier chunk */
    Marks marks = {{0}, {0}};
    w->count = w->made = 0;
    for (Size from = 0; from <= size; from += CHUNK) {
        unsigned char last[CHUNK] = {0}, inside[CHUNK], lead[CHUNK], any = 0;
        Bytes p = text.at + from;
        if (size - from < CHUNK)
            p = memcpy(last, p, (size_t)(size - from));
        for (int i = 0; i < CHUNK; i++) {
            unsigned char c = p[i], letter = (unsigned char)((c | 32) - 'a'), digit = (unsigned char)(c - '0');
            inside[i] = (letter < 26) | (digit < 10) | (c == '_') | (c >= 0x80);
            lead[i] = c >= 0xC0;
            any |= lead[i];
        }
        if (w->places && !(reserve(&w->hashes, CHUNK * 8) && reserve(&w->begins, CHUNK * 8) &&
                           reserve(&w->ends, CHUNK * 8))) /* for as many words as can end in a chunk */
            return 0;
        if (any)
            look_up(&marks, (Slice){text.at + from, text.end}, bits_of(lead), w->kinds);
        uint64_t in = bits_of(inside) & ~marks.gaps[0], cut = marks.cuts[0], shifted = in << 1 | before;
        uint64_t begins = in & (~shifted | cut), ends = shifted & (~in | cut);
        before = in >> (CHUNK - 1);
        marks = (Marks){{marks.gaps[1], 0}, {marks.cuts[1], 0}};
        for (; ends; ends &= ends - 1, open = 0) {
            if (!open) {
                begin = from + __builtin_ctzll(begins);
                begins &= begins - 1;
            }
            if (!take_word(w, text, begin, from + __builtin_ctzll(ends)))
                return 0;
        }
        if (begins) {
            begin = from + __builtin_ctzll(begins);
            open = 1;
        }
        if (w->count >= AT_ONCE && !make_shingles(w, 0))
            return 0;
    }
    return make_shingles(w, 1);
}

/* Read some texts; a list with the number of words or shingles up to and with each; NULL for errors. */
static PyObject *read_texts(Words *w, PyObject *texts, Py_buffer *signatures) {
    const Buffer *filled = w->places ? &w->hashes : &w->shingles;
    PyObject *counts = PyList_New(0);
    Size most = signatures ? signatures->len / (BINS * 4) : PY_SSIZE_T_MAX;
    for (Size i = 0; counts && i < most && i < PyList_Size(texts); i++) {
        PyObject *owner = NULL, *text = Py_NewRef(PyList_GetItem(texts, i));
        Slice s;
        if (signatures)
            w->lowest = (uint32_t *)signatures->buf + i * BINS;
        int done = utf8(text, "replace", &owner, &s) && read_text(w, s) &&
                   append(counts, PyLong_FromSsize_t(filled->size / 8));
        Py_XDECREF(owner);
        Py_DECREF(text);
        if (!done)
            Py_CLEAR(counts);
    }
    return counts;
}

/* What was gathered, as bytes that may be changed. */
static PyObject *array_of(const Buffer *b) {
    return PyByteArray_FromStringAndSize(b->at ? (const char *)b->at : "", b->size);
}

/* Check what was passed, read, and let go of everything but what was found. */
static PyObject *read_all(Words *w, PyObject *texts, Py_buffer *kinds, Py_buffer *signatures) {
    PyObject *counts = NULL, *result = NULL;
    w->kinds = kinds->buf;
    if (kinds->len != 64 * 64 || w->words < 1 || w->words > MOST_WORDS ||
        (signatures &&
         (signatures->len != PyList_Size(texts) * BINS * 4 || (uintptr_t)signatures->buf % sizeof(uint32_t))))
        PyErr_SetString(PyExc_ValueError, "tables or numbers of another size than expected");
    else if (reserve(&w->waiting, (w->words + AT_ONCE + CHUNK) * 8)) {
        w->hash = (uint64_t *)(void *)w->waiting.at;
        counts = read_texts(w, texts, signatures);
    }
    if (counts && w->places)
        result = Py_BuildValue("(NNNN)", counts, array_of(&w->hashes), array_of(&w->begins), array_of(&w->ends));
    else if (counts)
        result = Py_BuildValue("(NN)", counts, array_of(&w->shingles));
    Buffer *buffers[] = {&w->hashes, &w->begins, &w->ends, &w->shingles, &w->waiting, &w->low};
    for (int i = 0; i < 6; i++)
        PyMem_Free(buffers[i]->at);
    PyBuffer_Release(kinds);
    if (signatures)
        PyBuffer_Release(signatures);
    return result;
}

/* minhash.word_hashes */
PyObject *word_hashes(PyObject *self, PyObject *args) {
    Words w = {0};
    PyObject *texts;
    Py_buffer kinds;
    (void)self;
    w.words = w.places = 1;
    if (!PyArg_ParseTuple(args, "O!y*O", &PyList_Type, &texts, &kinds, &w.long_word))
        return NULL;
    return read_all(&w, texts, &kinds, NULL);
}

/* minhash.shingles */
PyObject *shingles(PyObject *self, PyObject *args) {
    Words w = {0};
    PyObject *texts;
    Py_buffer kinds;
    (void)self;
    if (!PyArg_ParseTuple(args, "O!ny*O", &PyList_Type, &texts, &w.words, &kinds, &w.long_word))
        return NULL;
    return read_all(&w, texts, &kinds, NULL);
}

/* minhash.signatures, before bins are densified: the least of each bin, where there was EMPTY */
PyObject *fill_signatures(PyObject *self, PyObject *args) {
    Words w = {0};
    PyObject *texts, *found;
    Py_buffer kinds, signatures;
    (void)self;
    if (!PyArg_ParseTuple(args, "O!ny*Ow*", &PyList_Type, &texts, &w.words, &kinds, &w.long_word, &signatures))
        return NULL;
    found = read_all(&w, texts, &kinds, &signatures);
    Py_XDECREF(found);
    return found ? Py_NewRef(Py_None) : NULL;
}

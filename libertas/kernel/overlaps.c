/* Words of texts in any script, and which of their n-grams stand in a table: what contamination is found by. */

#include "kernel.h"

/* As in contamination/words.py. */
#define BASE 0x9E3779B97F4A7C15u
#define MIXER 0xD6E8FEB86659FD93u
#define CODE_POINTS 0x110000
enum { SEPARATOR, LETTER, ALONE, IGNORED, EXPANDS };

#define AT_ONCE 1024 /* words whose n-grams of one length are looked up before those of the next */
#define MOST_WINDOW 256

static inline uint64_t mixed(uint64_t x) {
    x = (x ^ x >> 32) * MIXER;
    return x ^ x >> 32;
}

static inline void put(Buffer *b, uint64_t number) {
    memcpy(b->at + b->size, &number, 8);
    b->size += 8;
}

/* Append three numbers; 0 and MemoryError, if there is no room. */
static inline int put_three(Buffer *b, uint64_t one, uint64_t two, uint64_t three) {
    if (!reserve(b, 24))
        return 0;
    put(b, one);
    put(b, two);
    put(b, three);
    return 1;
}

/* Sorted numbers, and a bit for the highest bits of each. */
typedef struct {
    const uint64_t *keys;
    Size count;
    Bytes filter;
    int shift;
} Known;

/* Whether the sizes are such that nothing beyond them is read. */
static int known_of(Known *k, const Py_buffer *filter, const Py_buffer *keys) {
    int bits = 0;
    while (bits < 62 && (Size)1 << bits < filter->len * 8)
        bits++;
    *k = (Known){keys->buf, keys->len / 8, filter->buf, 64 - bits};
    return bits > 0 && (Size)1 << bits == filter->len * 8 && keys->len % 8 == 0 && !((uintptr_t)keys->buf % 8);
}

static inline Bytes filter_byte(const Known *k, uint64_t number) { return k->filter + (number >> k->shift >> 3); }

/* The place of a number among the keys; -1, if it is not there. Hashes are even, so the search begins where it would lie
   if they were wholly so, and doubles its steps from there. */
static Size place_among(const Known *k, uint64_t number) {
    Size low = 0, high = k->count, step = 16;
    if (!high)
        return -1;
    Size guess = (Size)((number >> 32) * (uint64_t)high >> 32);
    if (k->keys[guess] < number) {
        for (low = guess + 1; guess + step < high && k->keys[guess + step] < number; step *= 2)
            low = guess + step + 1;
        high = guess + step < high ? guess + step : high;
    } else {
        for (high = guess; guess >= step && k->keys[guess - step] >= number; step *= 2)
            high = guess - step;
        low = guess >= step ? guess - step : 0;
    }
    while (low < high) {
        Size middle = low + (high - low) / 2;
        if (k->keys[middle] < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low < k->count && k->keys[low] == number ? low : -1;
}

static inline Size place_of(const Known *k, uint64_t number) {
    return *filter_byte(k, number) >> (number >> k->shift & 7) & 1 ? place_among(k, number) : -1;
}

/* What becomes of each code point: words._Table */
typedef struct {
    Bytes kind, count;
    const uint64_t *value;
    const uint32_t *expansion, *flat;
    Size expanded; /* of `flat` */
} Folding;

/* A text that is read character by character. */
typedef struct {
    Folding fold;
    Buffer found;
    int open, alone; /* whether a word has begun, and whether it is of a script without spaces */
    Size start, last;
    uint64_t hash, power;
    Size window, filled, next; /* 0 for words; else how many characters of words are looked up together */
    uint64_t row, top, rows[MOST_WINDOW]; /* of all characters so far, up to each of the last ones */
    Size places[MOST_WINDOW];
    Known known;
} Reader;

static int end_word(Reader *r, Size at) {
    r->open = 0;
    return put_three(&r->found, mixed(r->hash), (uint64_t)r->start, (uint64_t)(at > r->last ? at : r->last + 1));
}

/* A character of a text, as words; 0 for errors. */
static inline int take_in_word(Reader *r, uint64_t value, int kind, Size at) {
    if (r->open && (kind == SEPARATOR || kind == ALONE || r->alone) && !end_word(r, at))
        return 0;
    if (kind == SEPARATOR)
        return 1;
    if (!r->open) {
        r->open = 1;
        r->alone = kind == ALONE;
        r->start = at;
        r->hash = 0;
        r->power = 1;
    }
    r->hash += value * r->power;
    r->power *= BASE;
    r->last = at;
    return 1;
}

/* A character of a text, in a window of characters of words; 0 for errors. */
static inline int take_in_window(Reader *r, uint64_t value, int kind, Size at) {
    if (kind == SEPARATOR)
        return 1;
    Size next = r->next;
    uint64_t before = r->rows[next], row = r->row * BASE + value;
    r->rows[next] = r->row = row;
    r->places[next] = at;
    r->next = next + 1 == r->window ? 0 : next + 1;
    if (r->filled + 1 < r->window) {
        r->filled++;
        return 1;
    }
    Size found = place_of(&r->known, mixed(row - before * r->top));
    return found < 0 || put_three(&r->found, (uint64_t)r->places[r->next], (uint64_t)at + 1, (uint64_t)found);
}

static inline int take(Reader *r, uint32_t code, int kind, Size at) {
    if (kind == IGNORED)
        return 1;
    return r->window ? take_in_window(r, r->fold.value[code], kind, at) : take_in_word(r, r->fold.value[code], kind, at);
}

/* A character that becomes several; 0 for errors. */
static int take_several(Reader *r, uint32_t code, Size at) {
    Size first = r->fold.expansion[code];
    for (Size i = first; i < first + r->fold.count[code] && i < r->fold.expanded; i++)
        if (r->fold.flat[i] < CODE_POINTS && !take(r, r->fold.flat[i], r->fold.kind[r->fold.flat[i]], at))
            return 0;
    return 1;
}

/* Letters of a word that go on from here, without looking at what may follow them; where the next character stands. */
static inline Size take_letters(Reader *r, Bytes codes, Size at, Size size) {
    uint64_t hash = r->hash, power = r->power;
    for (; at < size && r->fold.kind[codes[at]] == LETTER; at++) {
        hash += r->fold.value[codes[at]] * power;
        power *= BASE;
    }
    r->hash = hash;
    r->power = power;
    r->last = at - 1;
    return at;
}

/* All characters, given as numbers of one byte or of four; 0 for errors. */
static int read_codes(Reader *r, const Py_buffer *codes, int width) {
    Size size = codes->len / width;
    for (Size i = 0; i < size; i++) {
        if (width == 1 && r->open && !r->alone && !r->window && (i = take_letters(r, codes->buf, i, size)) == size)
            break;
        uint32_t code = width == 1 ? ((Bytes)codes->buf)[i] : ((const uint32_t *)codes->buf)[i];
        int kind = code < CODE_POINTS ? r->fold.kind[code] : SEPARATOR;
        if (kind == EXPANDS ? !take_several(r, code, i) : !take(r, code, kind, i))
            return 0;
    }
    return !r->open || end_word(r, size);
}

static int aligned(const Py_buffer *b, size_t size) {
    return (size_t)b->len % size == 0 && !((uintptr_t)b->buf % size);
}

/* Read a text with the five tables in `buffers`, after its codes; the numbers that were found. */
static PyObject *read_folded(Reader *r, Py_buffer *buffers, int width) {
    PyObject *result = NULL;
    Size points = CODE_POINTS;
    r->fold = (Folding){buffers[1].buf,  buffers[4].buf, buffers[2].buf,
                        buffers[3].buf, buffers[5].buf, buffers[5].len / 4};
    if ((width != 1 && width != 4) || !aligned(&buffers[0], (size_t)width) || buffers[1].len != points ||
        buffers[2].len != 8 * points || !aligned(&buffers[2], 8) || buffers[3].len != 4 * points ||
        !aligned(&buffers[3], 4) || buffers[4].len != points || !aligned(&buffers[5], 4))
        PyErr_SetString(PyExc_ValueError, "tables of another size than expected");
    else if (read_codes(r, &buffers[0], width))
        result = PyByteArray_FromStringAndSize(r->found.at ? (const char *)r->found.at : "", r->found.size);
    PyMem_Free(r->found.at);
    return result;
}

/* words._words_of_chunk: hash, start and end of each word */
PyObject *folded_hashes(PyObject *self, PyObject *args) {
    Reader r = {0};
    Py_buffer b[6];
    int width;
    (void)self;
    if (!PyArg_ParseTuple(args, "y*iy*y*y*y*y*", &b[0], &width, &b[1], &b[2], &b[3], &b[4], &b[5]))
        return NULL;
    PyObject *result = read_folded(&r, b, width);
    for (int i = 0; i < 6; i++)
        PyBuffer_Release(&b[i]);
    return result;
}

/* grams.known_windows: start, end and number of each window that is known */
PyObject *window_places(PyObject *self, PyObject *args) {
    Reader r = {0};
    Py_buffer b[8];
    int width;
    PyObject *result = NULL;
    (void)self;
    if (!PyArg_ParseTuple(args, "y*iy*y*y*y*y*ny*y*", &b[0], &width, &b[1], &b[2], &b[3], &b[4], &b[5], &r.window,
                          &b[6], &b[7]))
        return NULL;
    if (r.window < 1 || r.window > MOST_WINDOW || !known_of(&r.known, &b[6], &b[7]))
        PyErr_SetString(PyExc_ValueError, "a window or a filter of another size than expected");
    else {
        r.top = 1;
        for (Size i = 0; i < r.window; i++)
            r.top *= BASE;
        result = read_folded(&r, b, width);
    }
    for (int i = 0; i < 8; i++)
        PyBuffer_Release(&b[i]);
    return result;
}

/* n-grams of one length of the words [from, to) that begin there; 0 for errors. What the filter says of them is fetched
   for all before it is asked: it is larger than the nearer caches. */
static int look_up(Buffer *found, const Known *known, const uint64_t *words, Size from, Size to, Size length) {
    uint64_t sum = 0, top = 1, added = (uint64_t)length * MIXER, grams[AT_ONCE];
    for (Size i = 1; i < length; i++)
        top *= MIXER;
    for (Size i = 0; i < length - 1; i++)
        sum = sum * MIXER + words[from + i];
    for (Size i = from; i < to; i++) {
        sum = sum * MIXER + words[i + length - 1];
        grams[i - from] = mixed(sum + added);
        __builtin_prefetch(filter_byte(known, grams[i - from]));
        sum -= words[i] * top;
    }
    for (Size i = from; i < to; i++) {
        Size number = place_of(known, grams[i - from]);
        if (number >= 0 && !put_three(found, (uint64_t)i, (uint64_t)length, (uint64_t)number))
            return 0;
    }
    return 1;
}

/* grams.known_grams: place, length and number of each n-gram that is known */
PyObject *gram_places(PyObject *self, PyObject *args) {
    Py_buffer b[4];
    Buffer found = {0};
    Known known;
    PyObject *result = NULL;
    (void)self;
    if (!PyArg_ParseTuple(args, "y*y*y*y*", &b[0], &b[1], &b[2], &b[3]))
        return NULL;
    const uint64_t *words = b[0].buf;
    const int64_t *lengths = b[1].buf;
    Size count = b[0].len / 8, done = 1;
    if (!aligned(&b[0], 8) || !aligned(&b[1], 8) || !known_of(&known, &b[2], &b[3])) {
        PyErr_SetString(PyExc_ValueError, "numbers of another size than expected");
        done = 0;
    }
    for (Size from = 0; done && from < count; from += AT_ONCE)
        for (Size k = 0; done && k < b[1].len / 8; k++) {
            Size begins = count - (Size)lengths[k] + 1, to = from + AT_ONCE < begins ? from + AT_ONCE : begins;
            if (lengths[k] > 0 && lengths[k] <= count && from < to)
                done = look_up(&found, &known, words, from, to, (Size)lengths[k]);
        }
    if (done)
        result = PyByteArray_FromStringAndSize(found.at ? (const char *)found.at : "", found.size);
    PyMem_Free(found.at);
    for (int i = 0; i < 4; i++)
        PyBuffer_Release(&b[i]);
    return result;
}

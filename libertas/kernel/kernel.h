/* The hot loops of reading pages and of comparing texts, as an optional extension module, `libertas.kernel._native`.

   Each function that Python calls does exactly what the Python function named above it does, which is the reference:
   its docstring says what is meant, and tests compare the two. Texts are UTF-8 here, and lengths that Python counts in
   characters are counted as bytes that begin one. Nothing is kept between calls, and nothing recurses. */

#ifndef LIBERTAS_KERNEL_H
#define LIBERTAS_KERNEL_H

#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000 /* one library for every Python from 3.11 on */
#include <Python.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef Py_ssize_t Size;
typedef const unsigned char *Bytes;

typedef struct {
    Bytes at, end;
} Slice;

typedef struct {
    unsigned char *at;
    Size size, room;
} Buffer;

static const Slice NOTHING = {(Bytes)"", (Bytes)""};
static const unsigned char LINE_BREAK[3] = {0xEE, 0x80, 0x8A};

static inline Size length(Slice s) { return s.end - s.at; }

static inline int starts(Slice s, const char *with, Size size) {
    return length(s) >= size && !memcmp(s.at, with, (size_t)size);
}

#define STARTS(s, literal) starts(s, literal, (Size)sizeof(literal) - 1)

/* First place of a letter; the end, if there is none. */
static inline Bytes find_letter(Slice s, int letter) {
    Bytes found = s.at < s.end ? memchr(s.at, letter, (size_t)length(s)) : NULL;
    return found ? found : s.end;
}

/* First place of some letters; NULL, if there is none. */
static inline Bytes find(Slice s, const char *what, Size size) {
    for (; (s.at = find_letter(s, what[0])) < s.end; s.at++)
        if (starts(s, what, size))
            return s.at;
    return NULL;
}

#define FIND(s, literal) find(s, literal, (Size)sizeof(literal) - 1)

static inline int is_mid_character(unsigned char c) { return (c & 0xC0) == 0x80; }

static inline Size characters_of(Slice s) {
    Size count = 0;
    for (; s.at < s.end; s.at++)
        count += !is_mid_character(*s.at);
    return count;
}

/* Bytes of the white space that begins here, as `str.isspace` knows it; 0, if none does. */
static inline Size space(Slice s) {
    unsigned char c = *s.at;
    if (c < 0x80)
        return c == ' ' || (c >= 9 && c <= 13) || (c >= 0x1C && c <= 0x1F);
    if (c == 0xC2)
        return length(s) > 1 && (s.at[1] == 0x85 || s.at[1] == 0xA0) ? 2 : 0;
    if ((c < 0xE1 || c > 0xE3) || length(s) < 3)
        return 0;
    unsigned code = (unsigned)(c & 15) << 12 | (unsigned)(s.at[1] & 63) << 6 | (s.at[2] & 63);
    return code == 0x1680 || (code >= 0x2000 && code <= 0x200A) || code == 0x2028 || code == 0x2029 || code == 0x202F ||
                   code == 0x205F || code == 0x3000
               ? 3
               : 0;
}

static inline int is_blank(Slice s) {
    while (s.at < s.end) {
        Size size = space(s);
        if (!size)
            return 0;
        s.at += size;
    }
    return 1;
}

/* Room for so many bytes more; 0 and MemoryError, if there is none. */
static inline int reserve(Buffer *b, Size more) {
    if (more <= b->room - b->size)
        return 1;
    Size room = b->room + b->room / 2 + more + 256;
    unsigned char *at = PyMem_Realloc(b->at, (size_t)room);
    if (!at) {
        PyErr_NoMemory();
        return 0;
    }
    b->at = at;
    b->room = room;
    return 1;
}

static inline int add(Buffer *b, Slice s) {
    if (!reserve(b, length(s) + 1))
        return 0;
    memcpy(b->at + b->size, s.at, (size_t)length(s));
    b->size += length(s);
    return 1;
}

static inline Slice whole(const Buffer *b) { return b->at ? (Slice){b->at, b->at + b->size} : NOTHING; }

/* The UTF-8 of a text; `owner` keeps it where Python does not, and has to be let go of, if it is not NULL. */
static inline int utf8(PyObject *text, const char *surrogates, PyObject **owner, Slice *result) {
    Size size;
    const char *at = PyUnicode_AsUTF8AndSize(text, &size);
    *owner = NULL;
    if (!at) {
        if (!PyErr_ExceptionMatches(PyExc_UnicodeEncodeError))
            return 0;
        PyErr_Clear();
        char *encoded;
        *owner = PyUnicode_AsEncodedString(text, "utf-8", surrogates);
        if (!*owner || PyBytes_AsStringAndSize(*owner, &encoded, &size) < 0)
            return 0;
        at = encoded;
    }
    *result = (Slice){(Bytes)at, (Bytes)at + size};
    return 1;
}

/* Append to a list, and let go of what was appended. */
static inline int append(PyObject *list, PyObject *value) {
    int failed = !value || PyList_Append(list, value) < 0;
    Py_XDECREF(value);
    return !failed;
}

static inline int append_text(PyObject *list, Slice s) {
    return append(list, PyUnicode_DecodeUTF8((const char *)s.at, length(s), "surrogatepass"));
}

static inline unsigned char lower(unsigned char c) { return c >= 'A' && c <= 'Z' ? c | 32 : c; }

/* What Python calls. */
PyObject *tag_table(PyObject *self, PyObject *tags);
PyObject *read_blocks(PyObject *self, PyObject *args);
PyObject *cut_programs(PyObject *self, PyObject *source);
PyObject *near_hints(PyObject *self, PyObject *source);
PyObject *may_have_marks(PyObject *self, PyObject *text);
PyObject *is_normal(PyObject *self, PyObject *text);
PyObject *tags_of(PyObject *self, PyObject *args);
PyObject *word_places(PyObject *self, PyObject *args);
PyObject *seen_grams(PyObject *self, PyObject *args);
PyObject *fill_features(PyObject *self, PyObject *args);
PyObject *word_hashes(PyObject *self, PyObject *args);
PyObject *shingles(PyObject *self, PyObject *args);
PyObject *fill_signatures(PyObject *self, PyObject *args);
PyObject *decode_step(PyObject *self, PyObject *args);
PyObject *token_tables(PyObject *self, PyObject *args);
PyObject *encode_texts(PyObject *self, PyObject *args);
PyObject *folded_hashes(PyObject *self, PyObject *args);
PyObject *window_places(PyObject *self, PyObject *args);
PyObject *gram_places(PyObject *self, PyObject *args);

#endif

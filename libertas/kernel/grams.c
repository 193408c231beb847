/* Letters of a text and the rows of their n-grams: what the language model sees. */

#include "kernel.h"

#define MULTIPLIER 0x9E3779B1u /* as in ngrams.py */
#define SHIFT 16
#define LONGEST 4 /* n-grams have 1, 2 or 4 characters */
#define LAST_LETTER 0x323AFu /* as in script.py */
#define MOST_SCRIPTS 256

/* Put the letters of a text, with one zero for whatever separates words, at its beginning, and count them by script;
   gives their number. */
static Size keep_letters(Py_UCS4 *codes, Size size, Bytes kinds, Size last, Size *counts) {
    Size kept = 0;
    int before = 0;
    for (Size i = 0; i < size; i++) {
        Py_UCS4 code = codes[i];
        unsigned char kind = code > LAST_LETTER ? 0 : kinds[(Size)code < last ? (Size)code : last];
        if (kind || before) {
            codes[kept++] = kind ? code : 0;
            counts[kind]++;
        }
        before = kind != 0;
    }
    return kept;
}

/* ngrams.seen, of a text in lower case */
PyObject *seen_grams(PyObject *self, PyObject *args) {
    PyObject *text, *counted = NULL, *rows = NULL, *result = NULL;
    const char *kinds;
    Size last, scripts, counts[MOST_SCRIPTS] = {0};
    (void)self;
    if (!PyArg_ParseTuple(args, "Uy#n", &text, &kinds, &last, &scripts))
        return NULL;
    if (last < 1 || scripts < 1 || scripts > MOST_SCRIPTS) {
        PyErr_SetString(PyExc_ValueError, "a table of scripts is empty or has too many");
        return NULL;
    }
    Py_UCS4 *codes = PyUnicode_AsUCS4Copy(text);
    if (!codes)
        return NULL;
    Size n = keep_letters(codes, PyUnicode_GetLength(text), (Bytes)kinds, last - 1, counts);
    Size size = n < LONGEST ? 0 : n + (n - 1) + (n - 3);
    rows = PyBytes_FromStringAndSize(NULL, size * (Size)sizeof(uint32_t));
    char *filled = rows ? PyBytes_AsString(rows) : NULL;
    if (filled && size) {
        uint32_t *at = (uint32_t *)(void *)filled, *two = at + n, *four = two + n - 1;
        for (Size i = 0; i < n; i++)
            at[i] = codes[i] * MULTIPLIER >> SHIFT;
        for (Size i = 0; i < n - 1; i++)
            two[i] = (codes[i] * MULTIPLIER + codes[i + 1]) * MULTIPLIER >> SHIFT;
        for (Size i = 0; i < n - 3; i++) {
            uint32_t rolling = (codes[i] * MULTIPLIER + codes[i + 1]) * MULTIPLIER + codes[i + 2];
            four[i] = (rolling * MULTIPLIER + codes[i + 3]) * MULTIPLIER >> SHIFT;
        }
    }
    PyMem_Free(codes);
    counted = filled ? PyList_New(0) : NULL;
    for (Size i = 0; counted && i < scripts; i++)
        if (!append(counted, PyLong_FromSsize_t(counts[i])))
            Py_CLEAR(counted);
    result = counted ? Py_BuildValue("OnO", rows, n, counted) : NULL;
    Py_XDECREF(counted);
    Py_XDECREF(rows);
    return result;
}

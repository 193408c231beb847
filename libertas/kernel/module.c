/* The module that Python imports. */

#include "kernel.h"

static PyMethodDef METHODS[] = {
    {"cut_programs", cut_programs, METH_O, NULL},
    {"decode_step", decode_step, METH_VARARGS, NULL},
    {"encode_texts", encode_texts, METH_VARARGS, NULL},
    {"fill_features", fill_features, METH_VARARGS, NULL},
    {"fill_signatures", fill_signatures, METH_VARARGS, NULL},
    {"folded_hashes", folded_hashes, METH_VARARGS, NULL},
    {"gram_places", gram_places, METH_VARARGS, NULL},
    {"is_normal", is_normal, METH_O, NULL},
    {"may_have_marks", may_have_marks, METH_O, NULL},
    {"near_hints", near_hints, METH_O, NULL},
    {"read_blocks", read_blocks, METH_VARARGS, NULL},
    {"seen_grams", seen_grams, METH_VARARGS, NULL},
    {"shingles", shingles, METH_VARARGS, NULL},
    {"tag_table", tag_table, METH_O, NULL},
    {"tags_of", tags_of, METH_VARARGS, NULL},
    {"token_tables", token_tables, METH_VARARGS, NULL},
    {"window_places", window_places, METH_VARARGS, NULL},
    {"word_hashes", word_hashes, METH_VARARGS, NULL},
    {"word_places", word_places, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

/* SOURCE is the digest of the C code that this was compiled from. */
static int add_names(PyObject *module) { return PyModule_AddStringConstant(module, "SOURCE", KERNEL_SOURCE); }

static PyModuleDef_Slot SLOTS[] = {{Py_mod_exec, (void *)add_names}, {0, NULL}};

static struct PyModuleDef MODULE = {PyModuleDef_HEAD_INIT, "_native", NULL, 0, METHODS, SLOTS, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__native(void) { return PyModuleDef_Init(&MODULE); }

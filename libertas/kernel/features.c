/* features.py: blocks as rows of numbers. The order of every sum and the width of every number are those of numpy. */

#include "kernel.h"

enum { SPACE, WORD, DIGIT, UPPER, END, COMMA, MARK, CONTINUED, DENSE, CLASSES };
enum { BEGINNING = 240, PREFIX = 8, BUCKET_BITS = 16, LONG = 40, UP = 8, STATISTICS = 4 }; /* as in features.py */
enum { LEAVES = 19, H1 = 3, AROUND = 15 }; /* the lengths of blocks.LEAVES and features.AROUND, and the place of h1 */
#define BUCKETS ((Size)1 << BUCKET_BITS)
#define SIZES 19
#define ROWS (SIZES + 13 + 6 + 18 + 8 + LEAVES + AROUND + 4)

typedef struct {
    Py_buffer keys, odds;
} Lexicon;

static float said(const Lexicon *lexicon, uint64_t key) {
    uint64_t bucket = key * UINT64_C(0x9E3779B97F4A7C15) >> (64 - BUCKET_BITS);
    return ((const uint64_t *)lexicon->keys.buf)[bucket] == key ? ((const float *)lexicon->odds.buf)[bucket] : 0;
}

/* The first characters of a text in lower case; 0 if there is one whose alphabet has rules that Python knows. */
static int lowered_here(Slice s, Size most, Buffer *result) {
    unsigned char *to = result->at;
    for (Size count = 0; count < most && s.at < s.end; count++) {
        unsigned char c = *s.at;
        if (c < 0x80) {
            *to++ = lower(c);
            s.at++;
            continue;
        }
        Size size = c < 0xE0 ? 2 : 3;
        if (length(s) < size || (c != 0xC2 && c != 0xC3 && (c < 0xE3 || c > 0xE9) && (c != 0xE2 || s.at[1] > 0x81)))
            return 0; /* none of Latin-1, general punctuation, kana and Chinese */
        memcpy(to, s.at, (size_t)size);
        if (c == 0xC3 && to[1] < 0x9F && to[1] != 0x97)
            to[1] |= 0x20;
        to += size;
        s.at += size;
    }
    result->size = to - result->at;
    return 1;
}

/* The first characters of a text in lower case, in any alphabet; 0 for errors. */
static int lowered(PyObject *text, Size most, Buffer *result) {
    Slice s;
    PyObject *owner;
    int done = utf8(text, "replace", &owner, &s) && reserve(result, length(s) + 1);
    if (done && (owner || !lowered_here(s, most, result))) {
        PyObject *part = PyUnicode_Substring(text, 0, most);
        PyObject *low = part ? PyObject_CallMethod(part, "lower", NULL) : NULL, *low_owner = NULL;
        result->size = 0;
        done = low && utf8(low, "replace", &low_owner, &s) && add(result, s);
        Py_XDECREF(part);
        Py_XDECREF(low);
        Py_XDECREF(low_owner);
    }
    Py_XDECREF(owner);
    return done;
}

static int is_letter(unsigned char class) {
    return class == WORD || class == DIGIT || class == UPPER || class == CONTINUED || class == DENSE;
}

/* The next word of a text in lower case, as features.word_keys knows it; 0, if none is left. */
static int next_word(Slice *s, Bytes classes, uint64_t *key) {
    while (s->at < s->end && !is_letter(classes[*s->at]))
        s->at++;
    *key = 0;
    Bytes begin = s->at;
    for (; s->at < s->end && is_letter(classes[*s->at]); s->at++)
        if (s->at - begin < PREFIX)
            *key |= (uint64_t)*s->at << 8 * (s->at - begin);
    return s->at > begin;
}

/* What the words of each text say together; 0 for errors. */
static int sum_up(PyObject *texts, Size count, const Lexicon *names, Bytes classes, Buffer *low, float *sums) {
    for (Size i = 0; i < count; i++) {
        double sum = 0;
        uint64_t key;
        if (!lowered(PyList_GetItem(texts, i), BEGINNING, low))
            return 0;
        for (Slice s = whole(low); next_word(&s, classes, &key);)
            sum += said(names, key);
        sums[i] = (float)sum;
    }
    return 1;
}

static int compare_keys(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Words of the title, sorted, in `words`; 0 for errors. */
static int words_of_title(PyObject *title, Bytes classes, Buffer *low, Buffer *words) {
    uint64_t key;
    if (!lowered(title, PY_SSIZE_T_MAX, low))
        return 0;
    for (Slice s = whole(low); next_word(&s, classes, &key);)
        if (!add(words, (Slice){(Bytes)&key, (Bytes)(&key + 1)}))
            return 0;
    if (words->size)
        qsort(words->at, (size_t)words->size / sizeof key, sizeof key, compare_keys);
    return 1;
}

/* Numbers of a list that must have so many, each at least `least` and less than `below`; NULL for errors. */
static Size *numbers(PyObject *list, Size count, Size least, Size below) {
    if (PyList_Size(list) != count) {
        if (!PyErr_Occurred())
            PyErr_SetString(PyExc_ValueError, "columns of different lengths");
        return NULL;
    }
    Size *result = PyMem_Calloc((size_t)count + 1, sizeof(Size));
    if (!result)
        PyErr_NoMemory();
    for (Size i = 0; result && i < count; i++) {
        result[i] = PyLong_AsSsize_t(PyList_GetItem(list, i));
        if (result[i] < least || result[i] >= below) {
            if (!PyErr_Occurred())
                PyErr_SetString(PyExc_ValueError, "a number is out of range");
            PyMem_Free(result);
            return NULL;
        }
    }
    return result;
}

enum { TEXTS, LINKED, LEAF_OF, NAMES, CONTAINER, C_PARENT, C_TAG, C_NAMES, C_DEPTH, C_FIRST, C_LAST, COLUMNS };

typedef struct {
    Size n, m, *column[COLUMNS]; /* blocks, containers, and their columns of numbers */
    PyObject *list[COLUMNS];
    Lexicon names, words;
    Py_buffer classes, closing, around, out;
    float *row, *characters, *linked, *prose; /* rows of the result */
    float *words_in, *sums[4], *inside[4], *heard;
    float all_prose, total;
    Buffer low, joined, title;
} Page;

static float at_least(float a, float b) { return a > b ? a : b; }

#define ROW(number) (p->row + (number) * p->n)

/* Features.of, for the letters of each block; 0 for errors. */
static int count_letters(Page *p) {
    Bytes class = p->classes.buf, closing = p->closing.buf;
    double total = 0, all_prose = 0;
    int headings = 0;
    for (Size i = 0; i < p->n; i++) {
        PyObject *owner;
        Slice s;
        float counts[CLASSES] = {0};
        int failed = !utf8(PyList_GetItem(p->list[TEXTS], i), "replace", &owner, &s) || !add(&p->joined, s);
        Size size = failed ? 0 : length(s), start = p->joined.size - size, end = p->joined.size;
        Py_XDECREF(owner);
        if (failed || !add(&p->joined, (Slice){(Bytes)"\n", (Bytes)"\n" + 1}))
            return 0;
        Bytes raw = p->joined.at;
        Size each[CLASSES] = {0};
        for (Size at = start; at <= end; at++)
            each[class[raw[at]]]++;
        for (int kind = 0; kind < CLASSES; kind++)
            counts[kind] = (float)each[kind];
        float characters = (float)size - counts[CONTINUED], words = counts[SPACE] + 0.5f * counts[DENSE];
        float in_links = (float)p->column[LINKED][i];
        float linked = (in_links < characters ? in_links : characters) / at_least(characters, 1);
        int is_prose = linked < 0.3f && (characters > 80 || counts[DENSE] > 20);
        unsigned char first = raw[start], last = raw[end ? end - 1 : 0], before = raw[end > 3 ? end - 3 : 0];
        p->characters[i] = characters;
        p->words_in[i] = words;
        p->linked[i] = linked;
        p->prose[i] = is_prose ? characters : 0;
        total += characters;
        all_prose += is_prose ? characters : 0;
        headings += p->column[LEAF_OF][i] == H1;
        const float shares[] = {characters / words / 10,         counts[END] / words,
                                counts[COMMA] / words,           counts[UPPER] / (float)size,
                                counts[DIGIT] / (float)size,     counts[DENSE] / (float)size,
                                counts[MARK] / (float)size,      (float)i / (float)p->n};
        for (int k = 0; k < 8; k++)
            ROW(20 + k)[i] = shares[k];
        const int marks[] = {linked == 0,
                             closing[last] || (before == 0xE2 && last >= 0x80) || (before == 0xE3 && last == 0x82),
                             first >= 'a' && first <= 'z',
                             first >= 'A' && first <= 'Z',
                             first >= '0' && first <= '9',
                             first >= 128,
                             headings > 0};
        for (int k = 0; k < 7; k++)
            ROW(56 + k)[i] = (float)marks[k];
        for (int k = 0; k < LEAVES; k++)
            ROW(64 + k)[i] = p->column[LEAF_OF][i] == k;
    }
    p->total = total > 1 ? (float)total : 1;
    p->all_prose = all_prose > 1 ? (float)all_prose : 1;
    float characters_before = 0, prose_before = 0, share = (float)((double)p->all_prose / (double)p->total);
    for (Size i = 0; i < p->n; i++) {
        ROW(28)[i] = characters_before / p->total;
        ROW(29)[i] = prose_before / p->all_prose;
        ROW(30)[i] = share;
        characters_before += p->characters[i];
        prose_before += p->prose[i];
        const float sizes[] = {p->words_in[i], (float)i, (float)(p->n - i), (float)p->n, p->total};
        for (int k = 0; k < 5; k++)
            ROW(1 + k)[i] = sizes[k];
    }
    return 1;
}

/* features._repeated, into row 63; 0 for errors. */
static int mark_repeated(Page *p) {
    PyObject *seen = PyDict_New();
    for (Size i = 0; seen && i < p->n; i++) {
        PyObject *text = PyList_GetItem(p->list[TEXTS], i), *first = PyDict_GetItemWithError(seen, text);
        ROW(63)[i] = first != NULL;
        if (first)
            ROW(63)[PyLong_AsSsize_t(first)] = 1;
        else if (!PyErr_Occurred() && (first = PyLong_FromSsize_t(i))) {
            PyDict_SetItem(seen, text, first);
            Py_DECREF(first);
        }
        if (PyErr_Occurred())
            Py_CLEAR(seen);
    }
    Py_XDECREF(seen);
    return seen != NULL;
}

/* Features._words; 0 for errors. */
static int hear_words(Page *p, PyObject *title) {
    Bytes classes = p->classes.buf;
    uint64_t key;
    if (!words_of_title(title, classes, &p->low, &p->title))
        return 0;
    size_t of_title = (size_t)p->title.size / sizeof key;
    for (Size i = 0; i < p->n; i++) {
        double both = 0, good = 0, known = 0, titled = 0;
        if (!lowered(PyList_GetItem(p->list[TEXTS], i), BEGINNING, &p->low))
            return 0;
        for (Slice s = whole(&p->low); next_word(&s, classes, &key); known++) {
            float odds = said(&p->words, key);
            both += odds;
            good += odds > 0 ? odds : 0;
            titled += of_title && bsearch(&key, p->title.at, of_title, sizeof key, compare_keys);
        }
        known = known > 1 ? known : 1;
        titled = p->words_in[i] < LONG ? titled : 0;
        const double all[] = {good / 5,       (both - good) / 5, good / known, (both - good) / known,
                              titled / known, titled / (of_title ? (double)of_title : 1)};
        for (int k = 0; k < 6; k++)
            ROW(32 + k)[i] = (float)all[k];
    }
    return 1;
}

/* Features._containers, for the containers around each block. */
static void look_around(Page *p) {
    Size n = p->n, m = p->m;
    for (Size i = 0; i < n; i++) {
        const float added[] = {p->characters[i], p->characters[i] * p->linked[i], p->prose[i], 1};
        for (int k = 0; k < 4; k++)
            p->sums[k][i + 1] = p->sums[k][i] + added[k];
    }
    for (Size c = 0; c <= m; c++)
        for (int k = 0; k < 4; k++)
            p->inside[k][c] = at_least(p->sums[k][p->column[C_LAST][c]] - p->sums[k][p->column[C_FIRST][c]], 0);
    const int64_t *around = p->around.buf;
    for (Size i = 0; i < n; i++) {
        Size here = p->column[CONTAINER][i] < 0 ? m : p->column[CONTAINER][i];
        ROW(45)[i] = (float)((double)p->column[C_DEPTH][here] / 20);
        float sum = 0, least = p->heard[here], most = least;
        int64_t bits = 0;
        for (int level = 0; level < UP; level++) {
            float heard = p->heard[here];
            sum = level ? sum + heard : heard;
            least = heard < least ? heard : least;
            most = at_least(heard, most);
            bits |= here < m && p->column[C_TAG][here] >= 0 ? around[p->column[C_TAG][here]] : 0;
            if (level < STATISTICS) {
                float text = p->inside[0][here], count = p->inside[3][here];
                ROW(38 + level)[i] = heard;
                ROW(46 + level)[i] = p->inside[1][here] / at_least(text, 1);
                ROW(50 + level)[i] = p->inside[2][here] / p->all_prose;
                ROW(6 + level)[i] = text;
                ROW(10 + level)[i] = text / at_least(count, 1);
                if (level < 3)
                    ROW(14 + level)[i] = count;
            }
            here = here == 0 || here == m || p->column[C_PARENT][here] < 0 ? m : p->column[C_PARENT][here];
        }
        ROW(42)[i] = sum / 5;
        ROW(43)[i] = least;
        ROW(44)[i] = most;
        for (int k = 0; k < AROUND; k++)
            ROW(83 + k)[i] = (float)(bits >> k & 1);
    }
}

/* Features._containers, for the deepest containers that hold most of the prose. */
static void find_centres(Page *p) {
    static const double shares[2] = {0.5, 0.8};
    const Size *depth = p->column[C_DEPTH];
    for (int k = 0; k < 2; k++) {
        Size best = -1;
        for (Size c = 0; c <= p->m; c++)
            if (p->inside[2][c] >= (float)(shares[k] * (double)p->all_prose) && (best < 0 || depth[c] > depth[best]))
                best = c;
        best = best < 0 ? p->m : best;
        Size a = p->column[C_FIRST][best], b = p->column[C_LAST][best], far;
        for (Size i = 0; i < p->n; i++) {
            int within = i >= a && i < b;
            ROW(54 + k)[i] = within ? (float)((double)(i - a) / (double)(b > a + 1 ? b - a : 1)) : 0;
            ROW(98 + 2 * k)[i] = (float)within;
            ROW(99 + 2 * k)[i] = p->column[CONTAINER][i] == best;
            far = a - i > i - b + 1 ? a - i : i - b + 1;
            ROW(17 + k)[i] = far > 0 ? (float)far : 0;
        }
    }
}

/* Room for what is computed on the way, and the columns as numbers; 0 for errors. */
static int prepare(Page *p, Buffer *room) {
    Size n = p->n = PyList_Size(p->list[TEXTS]), m = p->m = PyList_Size(p->list[C_PARENT]);
    Size most = PY_SSIZE_T_MAX, tags = p->around.len / 8 - 1;
    const struct { int list; Size count, least, below; } ranges[] = {
        {LINKED, n, 0, most}, {LEAF_OF, n, 0, LEAVES}, {CONTAINER, n, -1, m}, {C_PARENT, m, -1, m},
        {C_TAG, m, -1, tags}, {C_DEPTH, m, 0, most},   {C_FIRST, m, 0, n + 1}, {C_LAST, m, 0, n + 1}};
    int wrong = p->names.keys.len != BUCKETS * 8 || p->names.odds.len != BUCKETS * 4 ||
                p->words.keys.len != BUCKETS * 8 || p->words.odds.len != BUCKETS * 4 || p->classes.len != 256 ||
                p->closing.len != 256 || tags < 0 || p->out.len != ROWS * n * 4 ||
                PyList_Size(p->list[NAMES]) != n || PyList_Size(p->list[C_NAMES]) != m;
    for (int c = 0; !wrong && c < 256; c++)
        wrong = ((Bytes)p->classes.buf)[c] >= CLASSES;
    if (wrong) {
        PyErr_SetString(PyExc_ValueError, "tables of another size than expected");
        return 0;
    }
    for (int k = 0; k < 8; k++)
        if (!(p->column[ranges[k].list] = numbers(p->list[ranges[k].list], ranges[k].count, ranges[k].least,
                                                  ranges[k].below)))
            return 0;
    p->column[C_LAST][m] = n; /* behind the containers stands the page as a whole, at depth 0 */
    if (!reserve(room, (n + 4 * (n + 1) + 4 * (m + 1) + m + 1) * 4))
        return 0;
    float *free = memset(room->at, 0, (size_t)room->room);
    p->words_in = free;
    free += n;
    for (int k = 0; k < 4; k++, free += n + 1)
        p->sums[k] = free;
    for (int k = 0; k < 4; k++, free += m + 1)
        p->inside[k] = free;
    p->heard = free;
    p->row = p->out.buf;
    p->characters = ROW(0);
    p->linked = ROW(19);
    return 1;
}

/* Features.of, without the logarithms */
PyObject *fill_features(PyObject *self, PyObject *args) {
    Page page = {0}, *p = &page;
    PyObject *title, **list = p->list;
    Buffer room = {0}, prose = {0};
    int done = 0;
    (void)self;
    if (!PyArg_ParseTuple(args, "O!O!O!O!O!O!O!O!O!O!O!U(y*y*)(y*y*)y*y*y*w*",
                          &PyList_Type, list, &PyList_Type, list + 1, &PyList_Type, list + 2, &PyList_Type,
                          list + 3, &PyList_Type, list + 4, &PyList_Type, list + 5, &PyList_Type, list + 6,
                          &PyList_Type, list + 7, &PyList_Type, list + 8, &PyList_Type, list + 9, &PyList_Type,
                          list + 10, &title,
                          &p->names.keys, &p->names.odds, &p->words.keys, &p->words.odds, &p->classes, &p->closing,
                          &p->around, &p->out))
        return NULL;
    if (prepare(p, &room) && reserve(&prose, p->n * 4 + 4)) {
        p->prose = (void *)prose.at;
        done = count_letters(p) && mark_repeated(p) && hear_words(p, title) &&
               sum_up(list[NAMES], p->n, &p->names, p->classes.buf, &p->low, ROW(31)) &&
               sum_up(list[C_NAMES], p->m, &p->names, p->classes.buf, &p->low, p->heard);
    }
    if (done) {
        look_around(p);
        find_centres(p);
    }
    Py_buffer *buffers[] = {&p->names.keys, &p->names.odds, &p->words.keys, &p->words.odds,
                            &p->classes,    &p->closing,    &p->around,     &p->out};
    for (int i = 0; i < 8; i++)
        PyBuffer_Release(buffers[i]);
    for (int i = 0; i < COLUMNS; i++)
        PyMem_Free(p->column[i]);
    PyMem_Free(room.at);
    PyMem_Free(prose.at);
    PyMem_Free(p->low.at);
    PyMem_Free(p->joined.at);
    PyMem_Free(p->title.at);
    return done ? Py_NewRef(Py_None) : NULL;
}

/* What is looked for in the source of a page, and in its text. */

#include "kernel.h"

/* Whether these lower-case letters stand here, in any case. */
static int starts_in_any_case(Slice s, const char *with) {
    for (; *with; with++, s.at++)
        if (s.at >= s.end || lower(*s.at) != (unsigned char)*with)
            return 0;
    return 1;
}

static int is_name(unsigned char c) {
    return c == '_' || (c >= '0' && c <= '9') || (lower(c) >= 'a' && lower(c) <= 'z');
}

/* Whether a script or style begins at this `<`: which. */
static const char *program_at(Slice s) {
    static const char *const names[2] = {"script", "style"};
    s.at++;
    for (int i = 0; i < 2; i++)
        if (starts_in_any_case(s, names[i])) {
            Bytes behind = s.at + strlen(names[i]);
            return behind == s.end || *behind == ' ' || (*behind >= 9 && *behind <= 13) || *behind == '/' ||
                           *behind == '>'
                       ? names[i]
                       : NULL;
        }
    return NULL;
}

/* Whether the text of a title or a field begins at this `<`. */
static int begins_field(Slice s) {
    s.at++;
    Size size = starts_in_any_case(s, "title") ? 5 : starts_in_any_case(s, "textarea") ? 8 : 0;
    return size && (s.at + size == s.end || !is_name(s.at[size]));
}

/* blocks.cut_programs */
PyObject *cut_programs(PyObject *self, PyObject *source) {
    char *letters;
    Size size;
    Buffer kept = {0};
    PyObject *result = NULL;
    const char *waiting = NULL; /* what the next tag that counts has to close */
    (void)self;
    if (PyBytes_AsStringAndSize(source, &letters, &size) < 0)
        return NULL;
    Bytes begin = (Bytes)letters, stop = begin + size, at = begin, before = NULL;
    for (Bytes tag = begin; (tag = find_letter((Slice){tag, stop}, '<')) < stop; tag++) {
        Slice here = {tag, stop};
        unsigned char first = stop - tag > 1 ? tag[1] : 0, second = stop - tag > 2 ? tag[2] | 32 : 0;
        Bytes previous = before, end;
        before = tag;
        int opens = ((first | 32) == 's' && (second == 'c' || second == 't')) || first == '!';
        if (tag < at || !(opens || ((first | 32) == '/' && second == 's')))
            continue;
        if (waiting) {
            here.at += 2;
            if (here.at < stop && starts_in_any_case(here, waiting)) {
                if ((end = find_letter((Slice){tag, stop}, '>')) == stop)
                    break;
                at = end + 1;
                waiting = NULL;
            }
            continue;
        }
        if (STARTS(here, "<!--")) {
            if (!(end = FIND(((Slice){tag + 2, stop}), "-->")))
                break;
            Bytes odd = FIND(((Slice){tag, end + 3}), "--!>");
            end = odd ? odd + 4 : end + 3;
        } else if ((waiting = program_at(here)))
            end = tag;
        else
            continue;
        if (previous && (find_letter((Slice){previous, tag}, '>') == tag || begins_field((Slice){previous, stop}))) {
            PyMem_Free(kept.at);
            return Py_NewRef(source);
        }
        if ((!kept.at && !reserve(&kept, size)) || !add(&kept, (Slice){at, tag}))
            goto done;
        at = end;
    }
    if (at == begin)
        result = Py_NewRef(source);
    else if (add(&kept, (Slice){at, stop}))
        result = PyBytes_FromStringAndSize((const char *)kept.at, kept.size);
done:
    PyMem_Free(kept.at);
    return result;
}

/* Whether there may be one of page.OWN_MARKS in a text. */
PyObject *may_have_marks(PyObject *self, PyObject *text) {
    Slice s;
    PyObject *owner;
    (void)self;
    if (!utf8(text, "surrogatepass", &owner, &s))
        return NULL;
    int found = FIND(s, "\xEE\x80") != NULL;
    Py_XDECREF(owner);
    return PyBool_FromLong(found);
}

#define CHUNK 64
#define MOST_HITS 1000 /* as in page.py */

/* Whether `tex`, `math` or `\(` stands here: 1, 2, 4 or 0. There are five letters to look at; the type is narrow so
   that compilers make many comparisons at once of the loop that asks. */
static unsigned char hint_at(Bytes p) {
    unsigned char a = p[0] | 32, b = p[1] | 32, c = p[2] | 32, d = p[3] | 32, e = p[4] | 32;
    unsigned char tex = (a == 't') & (b == 'e') & (c == 'x') & (d != 't');
    unsigned char math = (a == 'm') & (b == 'a') & (c == 't') & (d == 'h') & (e != '.');
    unsigned char formula = (p[0] == '\\') & (p[1] == '(');
    return (unsigned char)(tex | math << 1 | formula << 2);
}

/* page.near_hints */
PyObject *near_hints(PyObject *self, PyObject *source) {
    static const signed char kinds[5] = {-1, 0, 1, -1, 2};
    char *letters;
    Size size, found[3] = {0}, from[3] = {8, 8, 1}, up_to[3] = {12, 12, 100};
    Buffer pieces[3] = {{0}, {0}, {0}};
    PyObject *result = NULL;
    (void)self;
    if (PyBytes_AsStringAndSize(source, &letters, &size) < 0)
        return NULL;
    Bytes begin = (Bytes)letters;
    for (Size start = 0; size > 3 && start < size; start += CHUNK) {
        unsigned char any = start + CHUNK + 4 > size;
        if (!any)
            for (Size i = 0; i < CHUNK; i++)
                any |= hint_at(begin + start + i);
        for (Size i = start; any && i < start + CHUNK && i < size; i++) {
            unsigned char last[5] = {0};
            if (i + 5 > size)
                memcpy(last, begin + i, (size_t)(size - i));
            int kind = kinds[hint_at(i + 5 > size ? last : begin + i)];
            if (kind < 0 || found[kind]++ >= MOST_HITS || (kind < 2 && i + kind + 4 > size))
                continue; /* behind `tex` and `math` there must be something */
            Slice piece = {begin + (i > from[kind] ? i - from[kind] : 0),
                           begin + (size - i > up_to[kind] ? i + up_to[kind] : size)};
            if (!add(pieces + kind, piece) || !add(pieces + kind, (Slice){(Bytes)" ", (Bytes)" " + 1}))
                goto done;
        }
    }
    if (add(pieces, whole(pieces + 1)) && add(pieces, whole(pieces + 2)))
        result = PyBytes_FromStringAndSize((const char *)pieces[0].at, pieces[0].size);
done:
    for (int kind = 0; kind < 3; kind++)
        PyMem_Free(pieces[kind].at);
    return result;
}

/* Letters of the name of a tag that declares something, which begins here; 0 for other names. */
static Size declaring_tag(Slice s) {
    static const char *const names[10] = {"html", "base", "meta", "link", "time", "script", "style", "h1", "h2", "h3"};
    unsigned char first = s.at < s.end ? lower(*s.at) : 0;
    if (!memchr("hbmlts", first, 6)) /* most tags are none of these */
        return 0;
    for (int i = 0; i < 10; i++)
        if ((unsigned char)names[i][0] == first && starts_in_any_case(s, names[i])) {
            s.at += strlen(names[i]);
            return s.at < s.end && (*s.at == '>' || *s.at == '/' || space(s)) ? (Size)strlen(names[i]) : 0;
        }
    return 0;
}

/* The end of a tag that is open here, behind its `>`, if it is among so many characters; else NULL. */
static Bytes end_of_tag(Slice s, Size most) {
    unsigned char quote = 0;
    for (; s.at < s.end; s.at++) {
        if (!is_mid_character(*s.at) && most-- == 0)
            return NULL;
        if (quote)
            quote = *s.at == quote ? 0 : quote;
        else if (*s.at == '>')
            return s.at + 1;
        else if (*s.at == '"' || *s.at == '\'')
            quote = *s.at;
    }
    return NULL;
}

/* Whether a word may begin here, by its first letter, its second and its last; compilers make many such comparisons at
   once of a loop that asks. */
static unsigned char may_begin(Bytes p, Bytes word, Size size) {
    return (p[0] == word[0]) & (p[1] == word[1]) & (p[size - 1] == word[size - 1]);
}

/* declared.word_places */
PyObject *word_places(PyObject *self, PyObject *args) {
    PyObject *source, *words, *owner, *result = PyList_New(0);
    Size most;
    Slice s;
    (void)self;
    if (!result || !PyArg_ParseTuple(args, "UO!n", &source, &PyTuple_Type, &words, &most) ||
        !utf8(source, "surrogatepass", &owner, &s)) {
        Py_XDECREF(result);
        return NULL;
    }
    Size count = PyTuple_Size(words);
    for (Size number = 0; result && number < count; number++) {
        Size size, counted = 0;
        const char *letters = PyUnicode_AsUTF8AndSize(PyTuple_GetItem(words, number), &size);
        if (!letters || size < 2) {
            if (letters)
                PyErr_SetString(PyExc_ValueError, "a word has fewer than two letters");
            Py_CLEAR(result);
            break;
        }
        Bytes word = (Bytes)letters, last = s.at, at = s.at;
        while (PyList_Size(result) < most && length((Slice){at, s.end}) >= size) {
            if (s.end - at >= CHUNK + size) {
                unsigned char any = 0;
                for (Size i = 0; i < CHUNK; i++)
                    any |= may_begin(at + i, word, size);
                if (!any) {
                    at += CHUNK;
                    continue;
                }
            }
            Bytes stop = s.end - at >= CHUNK + size ? at + CHUNK : s.end - size + 1;
            for (; at < stop && PyList_Size(result) < most; at++) {
                if (!may_begin(at, word, size) || memcmp(at, word, (size_t)size))
                    continue;
                counted += characters_of((Slice){last, at});
                last = at;
                if (!append(result, PyLong_FromSsize_t(counted))) {
                    Py_CLEAR(result);
                    goto done;
                }
            }
        }
    }
done:
    Py_XDECREF(owner);
    return result;
}

/* declared.tags_of */
PyObject *tags_of(PyObject *self, PyObject *args) {
    PyObject *source, *owner, *result = PyList_New(0);
    Size most, longest, counted = 0;
    Slice s;
    (void)self;
    if (!result || !PyArg_ParseTuple(args, "Unn", &source, &most, &longest) ||
        !utf8(source, "surrogatepass", &owner, &s)) {
        Py_XDECREF(result);
        return NULL;
    }
    Bytes last = s.at; /* up to here characters were counted */
    for (Size tries = 0; tries < most; s.at++) {
        if ((s.at = find_letter(s, '<')) == s.end)
            break;
        Slice name = {s.at + 1, s.end};
        if (STARTS(name, "!--")) {
            tries++;
            if (!(name.at = FIND(name, "-->")))
                break;
            s.at = name.at + 2;
            continue;
        }
        Size size = declaring_tag(name);
        tries += size != 0;
        Slice rest = {name.at + size, s.end};
        Bytes end = size ? end_of_tag(rest, longest) : NULL, behind = end;
        if (!end)
            continue;
        if (lower(*name.at) == 's') {
            while ((behind = find_letter((Slice){behind, s.end}, '<')) < s.end) {
                Slice closing = {behind + 1, s.end};
                if (starts_in_any_case(closing, "/script") || starts_in_any_case(closing, "/style"))
                    break;
                behind++;
            }
            if (behind == s.end)
                break;
        }
        Size places[4];
        Bytes bounds[4] = {s.at, rest.at, end, behind};
        for (int i = 0; i < 4; i++) {
            places[i] = counted += characters_of((Slice){last, bounds[i]});
            last = bounds[i];
        }
        if (!append(result, Py_BuildValue("nnnn", places[0], places[1], places[2], places[3]))) {
            Py_CLEAR(result);
            break;
        }
        s.at = (behind == end ? end : behind + (lower(behind[3]) == 'c' ? 8 : 7)) - 1;
    }
    Py_XDECREF(owner);
    return result;
}

/* Characters that stay as they are and do not combine: Latin, Cyrillic, punctuation, kana, Chinese, Korean. */
static const struct { unsigned from, to; } PLAIN[] = {
    {0xA1, 0xAC}, {0xAE, 0x2FF}, {0x400, 0x482}, {0x48A, 0x52F}, {0x2010, 0x2027}, {0x2030, 0x205E}, {0x20A0, 0x20BF},
    {0x3001, 0x3029}, {0x3041, 0x3096}, {0x30A1, 0x30FF}, {0x4E00, 0x9FFF}, {0xAC00, 0xD7A3}};

/* Whether normalize.normalize would surely leave a text as it is. */
PyObject *is_normal(PyObject *self, PyObject *text) {
    Slice s;
    PyObject *owner;
    (void)self;
    if (!utf8(text, "surrogatepass", &owner, &s))
        return NULL;
    unsigned char last = s.at < s.end ? s.end[-1] : 'a';
    int normal = !owner && !STARTS(s, "\n") && last != '\n' && last != ' ' && last != '\t';
    Py_XDECREF(owner);
    unsigned char before = 0, second = 0;
    while (normal && s.at < s.end) {
        unsigned char c = *s.at;
        if (c >= 0x20 && c < 0x7F)
            s.at++;
        else if (c == '\n') {
            normal = before != ' ' && before != '\t' && !(before == '\n' && second == '\n');
            s.at++;
        } else if (c == '\t') {
            normal = before != '\t';
            s.at++;
        } else {
            Size size = c < 0xE0 ? 2 : 3, range = 0;
            if (c < 0x80 || c >= 0xF0 || length(s) < size) {
                normal = 0;
                break;
            }
            unsigned code = size == 2 ? (unsigned)(c & 31) << 6 | (s.at[1] & 63)
                                      : (unsigned)(c & 15) << 12 | (unsigned)(s.at[1] & 63) << 6 | (s.at[2] & 63);
            while (range < (Size)(sizeof PLAIN / sizeof *PLAIN) && code > PLAIN[range].to)
                range++;
            normal = range < (Size)(sizeof PLAIN / sizeof *PLAIN) && code >= PLAIN[range].from;
            s.at += size;
        }
        second = before;
        before = c;
    }
    return PyBool_FromLong(normal);
}

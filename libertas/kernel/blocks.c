/* blocks.py: a page as a row of blocks. */

#include "kernel.h"

enum { TEXT, LINK, LINK_END, BREAK, SKIP, LEAF, LEAF_END, RULE, OTHER, UNKNOWN };

#define TAGS 1024    /* places in the table of tags, a power of two */
#define LONGEST 15   /* letters of the longest tag */

typedef struct {
    unsigned char size, name[LONGEST], kind, around, raw, cell;
    int32_t number;
} Tag;

static Size place_of_tag(Slice name) {
    uint32_t hash = 2166136261u; /* FNV-1a */
    for (; name.at < name.end; name.at++)
        hash = (hash ^ *name.at) * 16777619u;
    return hash % TAGS;
}

static const Tag *find_tag(const Tag *table, Slice name) {
    if (!length(name) || length(name) > LONGEST)
        return NULL;
    for (Size place = place_of_tag(name), tries = 0; tries < TAGS && table[place].size; tries++) {
        if (table[place].size == length(name) && !memcmp(table[place].name, name.at, table[place].size))
            return table + place;
        place = (place + 1) % TAGS;
    }
    return NULL;
}

/* What is known of tags, as a table for `read_blocks`: from name to kind, number, and whether it is in AROUND_TEXT, in
   RAW_TEXT, and a cell or an item. */
PyObject *tag_table(PyObject *self, PyObject *tags) {
    PyObject *name, *known, *result = NULL;
    Tag *table = PyMem_Calloc(TAGS, sizeof(Tag));
    Size at = 0;
    (void)self;
    if (!table)
        return PyErr_NoMemory();
    if (!PyDict_Check(tags) || PyDict_Size(tags) > TAGS / 2) {
        PyErr_SetString(PyExc_ValueError, "not a table of tags");
        goto done;
    }
    while (PyDict_Next(tags, &at, &name, &known)) {
        Size size;
        int kind, number, around, raw, cell;
        const char *letters = PyUnicode_AsUTF8AndSize(name, &size);
        if (!letters || !PyArg_ParseTuple(known, "iippp", &kind, &number, &around, &raw, &cell))
            goto done;
        if (!size)
            continue; /* text, which is known without looking it up */
        if (size > LONGEST) {
            PyErr_SetString(PyExc_ValueError, "a tag is too long");
            goto done;
        }
        Size place = place_of_tag((Slice){(Bytes)letters, (Bytes)letters + size});
        while (table[place].size)
            place = (place + 1) % TAGS;
        table[place] = (Tag){.size = (unsigned char)size, .kind = (unsigned char)kind, .around = (unsigned char)around,
                             .raw = (unsigned char)raw, .cell = (unsigned char)cell, .number = number};
        memcpy(table[place].name, letters, (size_t)size);
    }
    result = PyBytes_FromStringAndSize((const char *)table, TAGS * (Size)sizeof(Tag));
done:
    PyMem_Free(table);
    return result;
}

typedef struct {
    Size linked, leaf, row, container, start, end, opened;
} Block;

typedef struct {
    Size parent, tag, depth, first, last;
} Container;

/* The tokens of a page: what lies between two `<`. */
typedef struct {
    Bytes next, stop; /* `next` is behind `stop` where no token is left */
    Size number;
} Tokens;

static int next_token(Tokens *t, Slice *token) {
    if (t->next > t->stop)
        return 0;
    token->at = t->next;
    token->end = find_letter((Slice){t->next, t->stop}, '<');
    t->next = token->end + 1;
    t->number++;
    return 1;
}

/* Whether a token begins with a name and this letter. */
static int is_tag(Slice token, Slice name, unsigned char after) {
    return length(token) > length(name) && token.at[length(name)] == after &&
           !memcmp(token.at, name.at, (size_t)length(name));
}

/* blocks.text_behind */
static Slice text_behind(Slice tag, Slice token, int is_raw, Tokens *tokens) {
    if (STARTS(tag, "!--")) {
        Bytes end;
        while (!(end = FIND(token, "-->")))
            if (!next_token(tokens, &token))
                return NOTHING;
        return (Slice){end + 3, token.end};
    }
    for (Size nested = 1; next_token(tokens, &token);) {
        if (token.at < token.end && *token.at == '/' && is_tag((Slice){token.at + 1, token.end}, tag, '>')) {
            if (!--nested)
                return (Slice){token.at + length(tag) + 2, token.end};
        } else
            nested += !is_raw && (is_tag(token, tag, '>') || is_tag(token, tag, ' '));
    }
    return NOTHING;
}

/* blocks._words; the text is left in `line`. */
static int words_of(const Buffer *pieces, int preformatted, Buffer *line) {
    Slice text = whole(pieces);
    line->size = 0;
    if (!reserve(line, preformatted ? 3 * length(text) : length(text) + 1))
        return 0;
    unsigned char *to = line->at;
    if (preformatted) {
        while (text.at < text.end && *text.at == '\n')
            text.at++;
        while (text.at < text.end && text.end[-1] == '\n')
            text.end--;
        for (; text.at < text.end; text.at++)
            if (*text.at == '\n') {
                memcpy(to, LINE_BREAK, 3);
                to += 3;
            } else
                *to++ = *text.at;
        line->size = to - line->at;
        return 1;
    }
    int has_text = 0, holds_open = 0, is_break = 1; /* whether the last that was written is a line break, or nothing */
    while (text.at < text.end) {
        Size gap = 0, size;
        for (; text.at < text.end && (size = space(text)); gap += size)
            text.at += size;
        if (text.at == text.end)
            break;
        int breaks = STARTS(text, "\xEE\x80\x8A");
        if (gap && !is_break && !breaks)
            *to++ = ' ';
        is_break = breaks;
        if (breaks) {
            if (to > line->at) { /* a block begins with none */
                memcpy(to, LINE_BREAK, 3);
                to += 3;
            }
            text.at += 3;
        } else if (STARTS(text, "&nbsp;")) {
            holds_open = 1;
            memcpy(to, text.at, 6);
            to += 6;
            text.at += 6;
        } else { /* a character */
            has_text = 1;
            do
                *to++ = *text.at++;
            while (text.at < text.end && is_mid_character(*text.at));
        }
    }
    while (to - line->at >= 3 && !memcmp(to - 3, LINE_BREAK, 3))
        to -= 3;
    line->size = holds_open && !has_text ? 0 : to - line->at;
    return 1;
}

/* One column of rows of `width` numbers. */
static PyObject *column(const Size *rows, Size count, Size width) {
    PyObject *list = PyList_New(count);
    for (Size i = 0; list && i < count; i++) {
        PyObject *number = PyLong_FromSsize_t(rows[i * width]);
        if (!number || PyList_SetItem(list, i, number) < 0)
            Py_CLEAR(list);
    }
    return list;
}

#define COLUMN(buffer, type, field) \
    column((const Size *)(const void *)((buffer).at ? (buffer).at + offsetof(type, field) : NULL), \
           (buffer).size / (Size)sizeof(type), sizeof(type) / sizeof(Size))

typedef struct {
    Buffer blocks, containers, pieces, line;
    PyObject *text, *names, *c_names;
    Slice leaf_names;
    Size leaf, row, linked, begun, opened, here;
} Reading;

/* Ends the block that is being read, if there is any text in it. */
static int end_block(Reading *r, Size number, Size pre) {
    if (r->pieces.size) {
        if (!words_of(&r->pieces, r->leaf == pre, &r->line))
            return 0;
        if (r->line.size) {
            Block block = {r->linked, r->leaf, r->row, r->here, r->begun, number, r->opened};
            if (!append_text(r->text, whole(&r->line)) || !append_text(r->names, r->leaf_names) ||
                !add(&r->blocks, (Slice){(Bytes)&block, (Bytes)(&block + 1)}))
                return 0;
        }
    }
    r->pieces.size = r->linked = 0;
    r->begun = number;
    return 1;
}

static int begin_container(Reading *r, Size tag, Slice names) {
    Container *all = (void *)r->containers.at;
    Size count = r->containers.size / (Size)sizeof(Container);
    Container made = {r->here, tag, count ? all[r->here].depth + 1 : 0, r->blocks.size / (Size)sizeof(Block), -1};
    r->here = count;
    return add(&r->containers, (Slice){(Bytes)&made, (Bytes)(&made + 1)}) && append_text(r->c_names, names);
}

static void end_container(Reading *r) {
    Container *all = (void *)r->containers.at;
    all[r->here].last = r->blocks.size / (Size)sizeof(Block);
    r->here = all[r->here].parent;
}

/* The loop of blocks.read_blocks: 1 if the page was read, 0 if it must be repaired first, -1 for errors. */
static int read_tokens(Reading *r, Slice html, const Tag *table, int everything, int repaired, Size pre) {
    Tokens tokens = {html.at, html.end, -1};
    Slice token;
    Size breaks = 0, opening = 0, opening_number = -2;
    int in_link = 0;
    while (next_token(&tokens, &token)) {
        Size number = tokens.number;
        Slice tag = {token.at, find_letter(token, '>')}, names = NOTHING;
        Slice rest = {tag.end + (tag.end < token.end), token.end};
        const Tag *known = find_tag(table, tag);
        if (!known && length(tag)) {
            Bytes blank = find_letter(tag, ' ');
            names = (Slice){blank + (blank < tag.end), tag.end};
            tag.end = blank;
            known = find_tag(table, tag);
        }
        int kind = known ? known->kind : length(tag) ? OTHER : TEXT;
        if (kind == SKIP || (kind == OTHER && (STARTS(tag, "!--") || (!everything && ((known && known->around) ||
                                                                     FIND(names, "role=\"navigation\"")))))) {
            rest = text_behind(tag, token, known && known->raw, &tokens);
            kind = TEXT;
        }
        int has_text = rest.at < rest.end && !is_blank(rest);
        if (kind <= LINK_END) {
            in_link = kind ? kind == LINK : in_link;
            if (!add(&r->pieces, rest))
                return -1;
            r->linked += in_link ? characters_of(rest) : 0;
            breaks = has_text ? 0 : breaks;
            continue;
        }
        if (names.at < names.end && names.end[-1] != '"' && !repaired)
            return 0;
        if (kind == BREAK && (++breaks == 1 || !r->pieces.size)) {
            if (!add(&r->pieces, (Slice){LINE_BREAK, LINE_BREAK + 3}) || !add(&r->pieces, rest))
                return -1;
            if (has_text) {
                breaks = 0;
                r->linked += in_link ? characters_of(rest) : 0;
            }
            continue;
        }
        if (!end_block(r, number, pre))
            return -1;
        breaks = 0;
        r->opened = kind == BREAK ? -1 : opening_number == number - 1 ? opening : 0;
        if (kind == LEAF) {
            r->leaf = known->number;
            r->leaf_names = names;
            r->row += length(tag) == 2 && STARTS(tag, "tr");
            if (known->cell && !has_text) {
                opening = r->leaf;
                opening_number = number;
            }
        } else if (kind != BREAK) {
            r->leaf = 0;
            r->leaf_names = NOTHING;
            if (kind == OTHER && !STARTS(tag, "/")) {
                if (!begin_container(r, known ? known->number : -1, names))
                    return -1;
            } else if (kind == OTHER && r->here > 0)
                end_container(r);
        }
        if (has_text) {
            if (!add(&r->pieces, rest))
                return -1;
            r->linked += in_link ? characters_of(rest) : 0;
        }
    }
    return 1;
}

/* blocks.read_blocks */
PyObject *read_blocks(PyObject *self, PyObject *args) {
    PyObject *page, *owner = NULL, *result = NULL;
    Py_buffer table;
    int everything, repaired;
    Size pre;
    Slice html;
    (void)self;
    if (!PyArg_ParseTuple(args, "Uppy*n", &page, &everything, &repaired, &table, &pre))
        return NULL;
    Reading r = {.text = PyList_New(0), .names = PyList_New(0), .c_names = PyList_New(0), .leaf_names = NOTHING,
                 .here = -1};
    if (table.len != TAGS * (Size)sizeof(Tag)) {
        PyErr_SetString(PyExc_ValueError, "not a table of tags");
        goto done;
    }
    if (!r.text || !r.names || !r.c_names || !utf8(page, "surrogatepass", &owner, &html))
        goto done;
    int read = read_tokens(&r, html, table.buf, everything, repaired, pre);
    if (read == 0)
        result = Py_NewRef(Py_None);
    if (read != 1)
        goto done;
    Container *all = (void *)r.containers.at;
    for (Size i = 0; i < r.containers.size / (Size)sizeof(Container); i++)
        all[i].last = all[i].last < 0 ? r.blocks.size / (Size)sizeof(Block) : all[i].last;
    result = Py_BuildValue(
        "ONNONNNNNNNONNN", r.text, COLUMN(r.blocks, Block, linked), COLUMN(r.blocks, Block, leaf), r.names,
        COLUMN(r.blocks, Block, row), COLUMN(r.blocks, Block, container), COLUMN(r.blocks, Block, start),
        COLUMN(r.blocks, Block, end), COLUMN(r.blocks, Block, opened), COLUMN(r.containers, Container, parent),
        COLUMN(r.containers, Container, tag), r.c_names, COLUMN(r.containers, Container, depth),
        COLUMN(r.containers, Container, first), COLUMN(r.containers, Container, last));
done:
    PyBuffer_Release(&table);
    PyMem_Free(r.blocks.at);
    PyMem_Free(r.containers.at);
    PyMem_Free(r.pieces.at);
    PyMem_Free(r.line.at);
    Py_XDECREF(r.text);
    Py_XDECREF(r.names);
    Py_XDECREF(r.c_names);
    Py_XDECREF(owner);
    return result;
}

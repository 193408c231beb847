/* Texts to tokens, as libertas.tokenize.encoder does it with the `tokenizers` library, which is the reference.

   A text is cut into pieces by the rules of GPT-2 or of GPT-4; a piece that was seen lately is looked up, any other one
   is merged: byte-level BPE with a heap, so that a piece of any length takes n log n. All memory is one bytearray that
   Python holds, `token_tables` makes and `encode_texts` reads; what it remembers of pieces never changes a result. */

#include "kernel.h"

#define CODE_POINTS 0x110000
#define NONE 0xFFFFFFFFu
#define MOST_SPACES 64                    /* of a token of spaces */
#define MOST_REMEMBERED 256               /* bytes of a piece */
#define SLOTS (UINT32_C(1) << 18)         /* of the memory for pieces */
#define ARENA (UINT32_C(1) << 20)         /* its words of four bytes */
#define MOST_PROBES 32                    /* an unlucky piece is merged again, rather than searched for */

enum { LETTER = 1, NUMBER = 2, SPACE = 4, DIGIT = 8, NOT_OTHER = LETTER | NUMBER | SPACE };
enum { GPT2, GPT4, WHOLE };

typedef struct {
    uint64_t pair; /* left << 32 | right */
    uint32_t rank, made;
} Merge;

/* A piece that is remembered lies in the arena: its size and its number of tokens, its bytes, the tokens. */
typedef struct {
    uint32_t hash, at; /* `at` is 0 for an empty slot */
} Slot;

typedef struct {
    uint32_t rule, most_digits, lone_digits, closing; /* encoder.Rules */
    uint32_t spaces;                                  /* of the longest token of spaces; 0 for none */
    uint32_t fixed, used, remembered;                 /* words of the arena that stay, that are used; pieces */
    uint64_t merge_mask;
    uint32_t byte_id[256], space_id[MOST_SPACES + 1];
    unsigned char kinds[CODE_POINTS];
    Slot slots[SLOTS];
    uint32_t arena[ARENA];
    Merge merges[];
} Tables;

typedef struct {
    Tables *t;
    Buffer ids, nodes, heap;
} Encoder;

static inline uint64_t mixed(uint64_t x) {
    x = (x ^ x >> 32) * 0xD6E8FEB86659FD93u;
    return x ^ x >> 32;
}

static inline uint32_t hash_of(Slice s) {
    uint64_t hash = (uint64_t)length(s), word = 0;
    for (; length(s) >= 8; s.at += 8) {
        memcpy(&word, s.at, 8);
        hash = mixed(hash ^ word);
    }
    word = 0;
    memcpy(&word, s.at, (size_t)length(s));
    return (uint32_t)(mixed(hash ^ word) >> 16);
}

/* What kind of character begins here, and its bytes; texts are sound UTF-8. */
static inline int kind(const Tables *t, Bytes p, Size *size) {
    if (p[0] < 0x80) {
        *size = 1;
        return t->kinds[p[0]];
    }
    if (p[0] < 0xE0) {
        *size = 2;
        return t->kinds[(p[0] & 31) << 6 | (p[1] & 63)];
    }
    if (p[0] < 0xF0) {
        *size = 3;
        return t->kinds[(p[0] & 15) << 12 | (p[1] & 63) << 6 | (p[2] & 63)];
    }
    *size = 4;
    return t->kinds[(p[0] & 7) << 18 | (p[1] & 63) << 12 | (p[2] & 63) << 6 | (p[3] & 63)];
}

static inline int is_line_end(unsigned char c) { return c == '\r' || c == '\n'; }

/* The end of at most so many characters of one of LETTER, NUMBER, SPACE, or of none of them (0). */
static inline Bytes run(const Tables *t, Bytes p, Bytes end, int of, Size most) {
    Size size;
    for (; p < end && most && (kind(t, p, &size) & NOT_OTHER) == of; most--)
        p += size;
    return p;
}

/* Bytes of an English contraction that begins with the apostrophe here; 0 if there is none. */
static inline Size contraction(Slice s, int any_case) {
    if (length(s) < 2)
        return 0;
    unsigned char fold = any_case ? 32 : 0, a = s.at[1] | fold, b = length(s) > 2 ? s.at[2] | fold : 0;
    if (a == 's' || a == 't' || a == 'm' || a == 'd')
        return 2;
    if (((a == 'r' || a == 'v') && b == 'e') || (a == 'l' && b == 'l'))
        return 3;
    return any_case && s.at[1] == 0xC5 && length(s) > 2 && s.at[2] == 0xBF ? 3 : 0; /* the long s is an s */
}

/* `\s+(?!\S)|\s+`, and before it `\s*[\r\n]+` where lines end a piece */
static Bytes white(const Tables *t, Bytes at, Bytes end, int lines) {
    Bytes p = at, last = at, line = NULL;
    Size size;
    while (p < end && kind(t, p, &size) & SPACE) {
        last = p;
        p += size;
        if (is_line_end(*last))
            line = p;
    }
    if (lines && line)
        return line;
    return p == end || last == at ? p : last;
}

/* The end of the piece that begins at s.at. */
static Bytes gpt2_piece(const Tables *t, Slice s) {
    Size size;
    if (*s.at == '\'' && (size = contraction(s, 0)))
        return s.at + size;
    Bytes p = s.at + (*s.at == ' ' && length(s) > 1);
    int of = kind(t, p, &size) & NOT_OTHER;
    return of & SPACE ? white(t, s.at, s.end, 0) : run(t, p + size, s.end, of, PY_SSIZE_T_MAX);
}

static Bytes gpt4_piece(const Tables *t, Slice s) {
    Size size, next;
    if (*s.at == '\'' && (size = contraction(s, 1)))
        return s.at + size;
    int of = kind(t, s.at, &size) & NOT_OTHER;
    Bytes p = s.at + size;
    int after = p < s.end ? kind(t, p, &next) & NOT_OTHER : SPACE;
    if (of == LETTER || (after == LETTER && of != NUMBER && !is_line_end(*s.at)))
        return run(t, p, s.end, LETTER, PY_SSIZE_T_MAX);
    if (of == NUMBER)
        return run(t, p, s.end, NUMBER, (Size)t->most_digits - 1);
    if (of && !(*s.at == ' ' && !after))
        return white(t, s.at, s.end, 1);
    p = run(t, p, s.end, 0, PY_SSIZE_T_MAX);
    while (p < s.end && is_line_end(*p))
        p++;
    return p;
}

static inline int emit(Encoder *e, const uint32_t *ids, Size count) {
    return add(&e->ids, (Slice){(Bytes)ids, (Bytes)(ids + count)});
}

/* The place of a piece in the memory, or the empty one it may have; NULL after too many others. */
static Slot *slot_of(Tables *t, Slice piece, uint32_t hash) {
    for (uint32_t probe = 0; probe < MOST_PROBES; probe++) {
        Slot *slot = &t->slots[(hash + probe) & (SLOTS - 1)];
        if (!slot->at)
            return slot;
        uint32_t *entry = &t->arena[slot->at];
        if (slot->hash == hash && (Size)entry[0] == length(piece) && !memcmp(entry + 2, piece.at, entry[0]))
            return slot;
    }
    return NULL;
}

static inline uint32_t words_of(uint32_t bytes, uint32_t tokens) { return 2 + (bytes + 3) / 4 + tokens; }

/* Forget all pieces but those that stay; 0 if too many of these collide. */
static int forget(Tables *t) {
    memset(t->slots, 0, sizeof t->slots);
    t->remembered = 0;
    t->used = t->fixed;
    for (uint32_t at = 1; at < t->fixed; at += words_of(t->arena[at], t->arena[at + 1])) {
        Slice piece = {(Bytes)&t->arena[at + 2], (Bytes)&t->arena[at + 2] + t->arena[at]};
        uint32_t hash = hash_of(piece);
        Slot *slot = slot_of(t, piece, hash);
        if (!slot)
            return 0;
        *slot = (Slot){hash, at};
    }
    return 1;
}

static void remember(Tables *t, Slice piece, uint32_t hash, const uint32_t *ids, uint32_t count) {
    uint32_t size = (uint32_t)length(piece), words = words_of(size, count);
    if (t->used + words > ARENA || t->remembered >= SLOTS / 2)
        forget(t);
    Slot *slot = slot_of(t, piece, hash);
    if (!slot || t->used + words > ARENA)
        return;
    uint32_t *entry = &t->arena[t->used];
    entry[0] = size;
    entry[1] = count;
    memcpy(entry + 2, piece.at, size);
    memcpy(entry + 2 + (size + 3) / 4, ids, 4 * (size_t)count);
    *slot = (Slot){hash, t->used};
    t->used += words;
    t->remembered++;
}

static inline const Merge *merge_of(const Tables *t, uint32_t left, uint32_t right) {
    uint64_t pair = (uint64_t)left << 32 | right;
    for (uint64_t i = mixed(pair);; i++) {
        const Merge *m = &t->merges[i & t->merge_mask];
        if (m->pair == pair || m->rank == NONE)
            return m->rank == NONE ? NULL : m;
    }
}

typedef struct {
    uint32_t id, before, after, rank; /* `rank` of the merge with the one after it; NONE for none, or if it is gone */
} Node;

/* The heap's first is the least: rank << 32 | place. */
static int push(Buffer *heap, uint64_t item) {
    if (!reserve(heap, 8))
        return 0;
    uint64_t *at = (uint64_t *)heap->at;
    Size i = heap->size / 8;
    for (heap->size += 8; i && at[(i - 1) / 2] > item; i = (i - 1) / 2)
        at[i] = at[(i - 1) / 2];
    at[i] = item;
    return 1;
}

static uint64_t pop(Buffer *heap) {
    uint64_t *at = (uint64_t *)heap->at, first = at[0];
    Size size = (heap->size -= 8) / 8, i = 0;
    uint64_t item = at[size];
    for (Size child; (child = 2 * i + 1) < size; i = child) {
        child += child + 1 < size && at[child + 1] < at[child];
        if (at[child] >= item)
            break;
        at[i] = at[child];
    }
    at[i] = item;
    return first;
}

static int look(Encoder *e, Node *nodes, uint32_t i) {
    const Merge *m = nodes[i].after == NONE ? NULL : merge_of(e->t, nodes[i].id, nodes[nodes[i].after].id);
    nodes[i].rank = m ? m->rank : NONE;
    return !m || push(&e->heap, (uint64_t)m->rank << 32 | i);
}

/* Byte-level BPE of one piece: the pair of the lowest rank is merged, of equals the first, until there is none. */
static int merge(Encoder *e, Slice piece) {
    Size count = length(piece);
    if (count >= NONE || !reserve(&e->nodes, count * (Size)sizeof(Node)))
        return count < NONE ? 0 : (PyErr_NoMemory(), 0);
    Node *nodes = (Node *)e->nodes.at;
    for (Size i = 0; i < count; i++)
        nodes[i] = (Node){e->t->byte_id[piece.at[i]], (uint32_t)i - 1, i + 1 < count ? (uint32_t)i + 1 : NONE, NONE};
    e->heap.size = 0;
    for (Size i = 0; i + 1 < count; i++)
        if (!look(e, nodes, (uint32_t)i))
            return 0;
    while (e->heap.size) {
        uint64_t item = pop(&e->heap);
        Node *left = &nodes[(uint32_t)item];
        if (left->rank != item >> 32)
            continue; /* it was merged with another one since */
        Node *right = &nodes[left->after];
        left->id = merge_of(e->t, left->id, right->id)->made;
        right->rank = NONE;
        left->after = right->after;
        if (left->after != NONE)
            nodes[left->after].before = (uint32_t)item;
        if (!look(e, nodes, (uint32_t)item) || (left->before != NONE && !look(e, nodes, left->before)))
            return 0;
    }
    for (uint32_t i = 0; i != NONE; i = nodes[i].after)
        if (!emit(e, &nodes[i].id, 1))
            return 0;
    return 1;
}

static int encode_piece(Encoder *e, Slice piece) {
    if (length(piece) == 1)
        return emit(e, &e->t->byte_id[*piece.at], 1);
    if (length(piece) > MOST_REMEMBERED)
        return merge(e, piece);
    uint32_t hash = hash_of(piece);
    Slot *slot = slot_of(e->t, piece, hash);
    if (slot && slot->at) {
        const uint32_t *entry = &e->t->arena[slot->at];
        return emit(e, entry + 2 + (entry[0] + 3) / 4, entry[1]);
    }
    Size before = e->ids.size;
    if (!merge(e, piece))
        return 0;
    remember(e->t, piece, hash, (uint32_t *)(e->ids.at + before), (uint32_t)((e->ids.size - before) / 4));
    return 1;
}

static int encode_pieces(Encoder *e, Slice s) {
    while (s.at < s.end) {
        Bytes end = e->t->rule == GPT2 ? gpt2_piece(e->t, s) : e->t->rule == GPT4 ? gpt4_piece(e->t, s) : s.end;
        if (!encode_piece(e, (Slice){s.at, end}))
            return 0;
        s.at = end;
    }
    return 1;
}

/* Text between tokens of spaces: where digits stand alone, each is cut out before anything else. */
static int encode_segment(Encoder *e, Slice s) {
    if (!e->t->lone_digits)
        return encode_pieces(e, s);
    Size size;
    for (Bytes p = s.at; p < s.end; p += size)
        if (kind(e->t, p, &size) & DIGIT) {
            if (!encode_pieces(e, (Slice){s.at, p}) || !encode_pieces(e, (Slice){p, p + size}))
                return 0;
            s.at = p + size;
        }
    return encode_pieces(e, s);
}

static int encode_text(Encoder *e, Slice s) {
    const Tables *t = e->t;
    for (Bytes p = s.at; t->spaces && (p = find_letter((Slice){p, s.end}, ' ')) < s.end;) {
        Bytes first = p;
        while (p < s.end && *p == ' ' && p - first < t->spaces)
            p++;
        if (p - first < 2)
            continue;
        if (!encode_segment(e, (Slice){s.at, first}) || !emit(e, &t->space_id[p - first], 1))
            return 0;
        s.at = p;
    }
    return encode_segment(e, s) && (t->closing == NONE || emit(e, &t->closing, 1));
}

/* encoder.Encoder: the tokens of some texts, as uint32, and how many each has. */
PyObject *encode_texts(PyObject *self, PyObject *args) {
    (void)self;
    PyObject *state, *texts, *result = NULL;
    if (!PyArg_ParseTuple(args, "OO!", &state, &PyList_Type, &texts))
        return NULL;
    if (!PyByteArray_Check(state) || PyByteArray_Size(state) < (Size)sizeof(Tables)) {
        PyErr_SetString(PyExc_TypeError, "expected tables made by token_tables");
        return NULL;
    }
    Encoder e = {(Tables *)PyByteArray_AsString(state), {0}, {0}, {0}};
    Buffer counts = {0};
    for (Size i = 0; i < PyList_Size(texts); i++) {
        PyObject *owner;
        Slice text;
        if (!utf8(PyList_GetItem(texts, i), "strict", &owner, &text))
            goto end;
        Size before = e.ids.size;
        int done = encode_text(&e, text);
        Py_XDECREF(owner);
        uint32_t count = (uint32_t)((e.ids.size - before) / 4);
        if (!done || !add(&counts, (Slice){(Bytes)&count, (Bytes)(&count + 1)}))
            goto end;
    }
    result = Py_BuildValue("y#y#", e.ids.at ? (char *)e.ids.at : "", e.ids.size, counts.at ? (char *)counts.at : "",
                           counts.size);
end:
    PyMem_Free(e.ids.at);
    PyMem_Free(e.nodes.at);
    PyMem_Free(e.heap.at);
    PyMem_Free(counts.at);
    return result;
}

static void fill_merges(Tables *t, const uint32_t *triples, Size count) {
    for (uint64_t i = 0; i <= t->merge_mask; i++)
        t->merges[i].rank = NONE;
    for (Size n = 0; n < count; n++) {
        uint64_t pair = (uint64_t)triples[3 * n] << 32 | triples[3 * n + 1], i = mixed(pair);
        while (t->merges[i & t->merge_mask].rank != NONE && t->merges[i & t->merge_mask].pair != pair)
            i++;
        t->merges[i & t->merge_mask] = (Merge){pair, (uint32_t)n, triples[3 * n + 2]};
    }
}

/* encoder.Encoder: (kinds, byte ids, merges, ids of runs of spaces from 0 on, pieces that stay, rule, most digits, lone
   digits, closing token) as one bytearray; merges are triples of left, right and made, in the order of their ranks. */
PyObject *token_tables(PyObject *self, PyObject *args) {
    (void)self;
    Slice kinds, bytes, merges, spaces, fixed;
    Size sizes[5];
    uint32_t rules[4];
    PyObject *state = NULL;
    if (!PyArg_ParseTuple(args, "y#y#y#y#y#IIII", &kinds.at, &sizes[0], &bytes.at, &sizes[1], &merges.at, &sizes[2],
                          &spaces.at, &sizes[3], &fixed.at, &sizes[4], &rules[0], &rules[1], &rules[2], &rules[3]))
        return NULL;
    if (sizes[0] != CODE_POINTS || sizes[1] != 4 * 256 || sizes[2] % 12 || sizes[3] > 4 * (MOST_SPACES + 1) ||
        sizes[4] > 4 * (Size)(ARENA / 2) || sizes[4] % 4) {
        PyErr_SetString(PyExc_ValueError, "tables of other sizes were expected");
        return NULL;
    }
    Size count = sizes[2] / 12, room = 16;
    while (room < 2 * count)
        room *= 2;
    state = PyByteArray_FromStringAndSize(NULL, (Size)sizeof(Tables) + room * (Size)sizeof(Merge));
    if (!state)
        return NULL;
    Tables *t = (Tables *)PyByteArray_AsString(state);
    memset(t, 0, offsetof(Tables, slots));
    t->rule = rules[0], t->most_digits = rules[1], t->lone_digits = rules[2], t->closing = rules[3];
    t->spaces = sizes[3] ? (uint32_t)(sizes[3] / 4 - 1) : 0;
    t->merge_mask = (uint64_t)room - 1;
    memcpy(t->kinds, kinds.at, CODE_POINTS);
    memcpy(t->byte_id, bytes.at, (size_t)sizes[1]);
    memcpy(t->space_id, spaces.at, (size_t)sizes[3]);
    memcpy(t->arena + 1, fixed.at, (size_t)sizes[4]);
    t->fixed = 1 + (uint32_t)(sizes[4] / 4);
    fill_merges(t, (const uint32_t *)merges.at, count);
    if (!forget(t)) {
        Py_DECREF(state);
        PyErr_SetString(PyExc_ValueError, "too many pieces that stay");
        return NULL;
    }
    return state;
}

/* One more token for a few texts: a model's blocks, norm and logits, in float32, as fast as memory gives the weights.

   A step reads every weight once, whatever the number of texts, so what matters is that this reading never waits. The
   threads of a step do the same blocks side by side, each a share of the outputs of every matrix, and meet after each.
   A number is always summed up by one thread and in one order, 8 sums side by side and no fused multiply-add: it is
   the same for any number of threads, alone or beside other texts. */

#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "kernel.h"

#if defined(__x86_64__) && defined(__GLIBC__)
#define FOR_EACH_PROCESSOR __attribute__((target_clones("avx2", "default"))) /* memory is the bound: AVX-512 gains nothing */
#else
#define FOR_EACH_PROCESSOR
#endif
#define INLINE static inline __attribute__((always_inline))

enum { LANES = 8, TILE = 4, CACHE_LINE = 16, MOST_THREADS = 64, PATIENCE = 4096 };
typedef float Lanes __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

typedef struct {
    const float *weight, *bias; /* the bias may be NULL */
} Weights;

/* What a layer and the model have, in the order of libertas/model/decode.py; NULL is what a model lacks. */
enum { NORM_ATTENTION, QKV = 2, OUT = 4, NORM_FEED_FORWARD = 6, UP = 8, DOWN = 10 }; /* each a weight and a bias */
enum { QUERY_NORM = 12, KEY_NORM, SINKS, LAYER_PARTS };
enum { NORM, UNEMBED = 2, COSINES = 4, SINES, FALL, MODEL_PARTS };
enum { KEYS, VALUES };

typedef struct {
    float *parts[LAYER_PARTS];
    float *kept[2]; /* keys and values: rows, groups, slots, key width; position p is in slot p modulo the slots */
    Size slots;
} Layer;

enum { GELU, GELU_TANH, RELU2, SILU };

/* As libertas/model/decode.py packs it. */
typedef struct {
    int64_t rows, position, threads, width, layers, heads, groups, key_width, hidden, vocabulary, longest, turning,
        neighbours, rms, parallel, gated, activation;
} Shape;

typedef struct {
    Shape is;
    float epsilon, scale;
    const int64_t *starts; /* of each row: position of its first token, before which there is padding */
    Layer *layers;
    float *parts[MODEL_PARTS], *x, *qkv, *mixed, *added, *hidden, *own, *logits;
    Size threads, own_size;
    atomic_int go, arrived, round;
} Step;

#define WEIGHTS(of, part) ((Weights){(of)->parts[part], (of)->parts[part + 1]})

typedef struct {
    Step *step;
    Size number;
} Worker;

INLINE float folded(Lanes sums) {
    float s[LANES];
    memcpy(s, &sums, sizeof s);
    for (int half = LANES / 2; half; half /= 2)
        for (int i = 0; i < half; i++)
            s[i] += s[i + half];
    return s[0];
}

/* out[r][o] = sum over i of weight[o][i] * x[r][i], for a few outputs and rows known when this is compiled. Processors
   foresee long streams, not these rows of a few kilobytes: while a tile is read, the next one is asked for. */
INLINE void tile(const float *weight, const float *x, float *out, Size n, Size stride, const int outputs, const int rows) {
    Lanes sums[TILE][TILE], here[TILE];
    Size i = 0;
    for (int o = 0; o < outputs; o++)
        for (int r = 0; r < rows; r++)
            sums[o][r] = (Lanes){0};
    for (; i + LANES <= n; i += LANES) {
        for (int r = 0; r < rows; r++)
            here[r] = *(const Lanes *)(x + r * n + i);
        for (int o = 0; o < outputs; o++) {
            Lanes w = *(const Lanes *)(weight + o * n + i);
            __builtin_prefetch(weight + (outputs + o) * n + i);
            for (int r = 0; r < rows; r++)
                sums[o][r] += w * here[r];
        }
    }
    for (int o = 0; o < outputs; o++)
        for (int r = 0; r < rows; r++) {
            float sum = folded(sums[o][r]);
            for (Size k = i; k < n; k++)
                sum += weight[o * n + k] * x[r * n + k];
            out[r * stride + o] = sum;
        }
}

INLINE void tiles(const float *weight, const float *x, float *out, Size n, Size stride, Size rows, const int outputs) {
    Size r = 0;
    for (; r + 4 <= rows; r += 4)
        tile(weight, x + r * n, out + r * stride, n, stride, outputs, 4);
    for (; r + 2 <= rows; r += 2)
        tile(weight, x + r * n, out + r * stride, n, stride, outputs, 2);
    if (r < rows)
        tile(weight, x + r * n, out + r * stride, n, stride, outputs, 1);
}

/* Outputs `from` to `to` of a matrix, for all rows of x, which has n columns; `stride` columns are in a row of `out`. */
FOR_EACH_PROCESSOR
static void multiply(const float *weight, const float *x, float *out, Size n, Size stride, Size rows, Size from, Size to) {
    Size o = from;
    for (; o + TILE <= to; o += TILE)
        tiles(weight + o * n, x, out + o, n, stride, rows, TILE);
    for (; o < to; o++)
        tiles(weight + o * n, x, out + o, n, stride, rows, 1);
}

static void linear(Weights w, const float *x, float *out, Size n, Size stride, Size rows, Size from, Size to) {
    multiply(w.weight, x, out, n, stride, rows, from, to);
    for (Size r = 0; w.bias && r < rows; r++)
        for (Size o = from; o < to; o++)
            out[r * stride + o] += w.bias[o];
}

/* out += share * x */
FOR_EACH_PROCESSOR
static void add_share(float *out, const float *x, float share, Size n) {
    for (Size i = 0; i < n; i++)
        out[i] += share * x[i];
}

FOR_EACH_PROCESSOR
static void normalize(Weights w, const float *x, float *out, Size n, int rms, float epsilon) {
    float mean = 0, square;
    Lanes sums = {0};
    Size i = 0;
    if (!rms) {
        for (; i + LANES <= n; i += LANES)
            sums += *(const Lanes *)(x + i);
        for (mean = folded(sums); i < n; i++)
            mean += x[i];
        mean /= (float)n;
    }
    for (i = 0; i < n; i++)
        out[i] = x[i] - mean;
    tile(out, out, &square, n, 1, 1, 1);
    float inverse = 1.0f / sqrtf(square / (float)n + epsilon);
    for (i = 0; i < n; i++)
        out[i] = out[i] * inverse * w.weight[i];
    for (i = 0; w.bias && i < n; i++)
        out[i] += w.bias[i];
}

static float activated(float x, int64_t activation) {
    switch (activation) {
    case GELU:
        return 0.5f * x * (1.0f + erff(x * 0.70710678f));
    case GELU_TANH: /* 0.5 (1 + tanh u) = 1 / (1 + exp(-2u)), u = sqrt(2 / pi) (x + 0.044715 x^3) */
        return x / (1.0f + expf(-1.5957691f * (x + 0.044715f * x * x * x)));
    case RELU2:
        return x > 0 ? x * x : 0;
    default:
        return x / (1.0f + expf(-x));
    }
}

/* positions.turned, for one head, in place */
static void turn(const Step *s, float *head, Size position) {
    Size pairs = s->is.turning / 2, apart = s->is.neighbours ? 1 : pairs, next = s->is.neighbours ? 2 : 1;
    const float *cosine = s->parts[COSINES] + position * pairs, *sine = s->parts[SINES] + position * pairs;
    for (Size i = 0; i < pairs; i++) {
        float *first = head + i * next, *second = first + apart, a = *first, b = *second;
        *first = a * cosine[i] - b * sine[i];
        *second = b * cosine[i] + a * sine[i];
    }
}

/* Logits of positions to shares that add up to 1, or to less, where there is a sink. */
static void soften(float *scores, Size n, const float *sink) {
    float most = sink ? *sink : -INFINITY, sum = 0;
    for (Size i = 0; i < n; i++)
        most = scores[i] > most ? scores[i] : most;
    for (Size i = 0; i < n; i++)
        sum += scores[i] = expf(scores[i] - most);
    sum += sink ? expf(*sink - most) : 0;
    for (Size i = 0; i < n; i++)
        scores[i] /= sum;
}

/* One row's heads that share keys: keep the new key and value, and mix the values that the queries see. */
static void attend_group(const Step *s, const Layer *l, Size row, Size group, float *scores) {
    const Shape *is = &s->is;
    Size K = is->key_width, shared = is->heads / is->groups, last = is->position;
    Size first = last - l->slots + 1 > s->starts[row] ? last - l->slots + 1 : s->starts[row], seen = last + 1 - first;
    float *q = s->qkv + row * (is->heads + 2 * is->groups) * K, *k = q + (is->heads + group) * K, *v = k + is->groups * K;
    float *keys = l->kept[KEYS] + (row * is->groups + group) * l->slots * K;
    float *values = l->kept[VALUES] + (row * is->groups + group) * l->slots * K;
    float *out = s->mixed + (row * is->heads + group * shared) * K;
    q += group * shared * K;
    for (Size h = 0; h < shared && l->parts[QUERY_NORM]; h++)
        normalize((Weights){l->parts[QUERY_NORM], NULL}, q + h * K, q + h * K, K, 1, s->epsilon);
    if (l->parts[KEY_NORM])
        normalize((Weights){l->parts[KEY_NORM], NULL}, k, k, K, 1, s->epsilon);
    for (Size h = 0; h < shared && is->turning; h++)
        turn(s, q + h * K, last - s->starts[row]);
    if (is->turning)
        turn(s, k, last - s->starts[row]);
    memcpy(keys + last % l->slots * K, k, (size_t)K * 4);
    memcpy(values + last % l->slots * K, v, (size_t)K * 4);
    for (Size p = first, slot, run; p <= last; p += run) { /* two runs of slots, where the last one is not the end */
        slot = p % l->slots;
        run = l->slots - slot < last + 1 - p ? l->slots - slot : last + 1 - p;
        multiply(keys + slot * K, q, scores + p - first, K, seen, shared, 0, run);
    }
    memset(out, 0, (size_t)(shared * K) * 4);
    for (Size h = 0; h < shared; h++, scores += seen, out += K) {
        Size head = group * shared + h;
        for (Size i = 0; i < seen; i++)
            scores[i] = scores[i] * s->scale - (s->parts[FALL] ? s->parts[FALL][head] * (float)(seen - 1 - i) : 0);
        soften(scores, seen, l->parts[SINKS] ? l->parts[SINKS] + head : NULL);
        for (Size i = 0; i < seen; i++)
            add_share(out, values + (first + i) % l->slots * K, scores[i], K);
    }
}

/* Wait for the other threads. */
static void meet(Step *s) {
    int round = atomic_load(&s->round);
    if (atomic_fetch_add(&s->arrived, 1) + 1 == s->threads) {
        atomic_store(&s->arrived, 0);
        atomic_fetch_add(&s->round, 1);
        return;
    }
    for (Size tries = 0; atomic_load(&s->round) == round; tries++)
        if (tries >= PATIENCE)
            sched_yield();
}

/* A thread's share of n things, in whole cache lines of numbers where there are so many. */
static Size begin_of(const Step *s, Size number, Size n) {
    Size even = n * number / s->threads;
    return number == s->threads || n < CACHE_LINE * s->threads ? even : even / CACHE_LINE * CACHE_LINE;
}

static void normalize_rows(const Step *s, Weights w, float *out) {
    for (Size r = 0; r < s->is.rows; r++)
        normalize(w, s->x + r * s->is.width, out + r * s->is.width, s->is.width, (int)s->is.rms, s->epsilon);
}

static void add_rows(const Step *s, const float *added, Size from, Size to) {
    for (Size r = 0; r < s->is.rows; r++)
        add_share(s->x + r * s->is.width + from, added + r * s->is.width + from, 1.0f, to - from);
}

static void do_block(Step *s, const Layer *l, Size number, float *normed, float *scores) {
    const Shape *is = &s->is;
    Size R = is->rows, D = is->width, F = is->hidden, inner = is->heads * is->key_width;
    Size all = inner + 2 * is->groups * is->key_width, items = R * is->groups;
    normalize_rows(s, WEIGHTS(l, NORM_ATTENTION), normed);
    linear(WEIGHTS(l, QKV), normed, s->qkv, D, all, R, begin_of(s, number, all), begin_of(s, number + 1, all));
    meet(s);
    for (Size i = items * number / s->threads; i < items * (number + 1) / s->threads; i++)
        attend_group(s, l, i / is->groups, i % is->groups, scores);
    meet(s);

    Size from = begin_of(s, number, D), to = begin_of(s, number + 1, D);
    linear(WEIGHTS(l, OUT), s->mixed, s->added, inner, D, R, from, to);
    if (!is->parallel) {
        add_rows(s, s->added, from, to);
        meet(s);
    }
    if (l->parts[NORM_FEED_FORWARD])
        normalize_rows(s, WEIGHTS(l, NORM_FEED_FORWARD), normed);

    Size begin = begin_of(s, number, F), end = begin_of(s, number + 1, F);
    Weights up = WEIGHTS(l, UP);
    float *values = s->hidden + R * F;
    linear(up, normed, s->hidden, D, F, R, begin, end);
    if (is->gated)
        linear((Weights){up.weight + F * D, up.bias ? up.bias + F : NULL}, normed, values, D, F, R, begin, end);
    for (Size r = 0; r < R; r++)
        for (Size i = r * F + begin; i < r * F + end; i++)
            s->hidden[i] = activated(s->hidden[i], is->activation) * (is->gated ? values[i] : 1.0f);
    meet(s);
    if (is->parallel)
        add_rows(s, s->added, from, to);
    linear(WEIGHTS(l, DOWN), s->hidden, s->added, F, D, R, from, to);
    add_rows(s, s->added, from, to);
    meet(s);
}

static void do_share(Step *s, Size number) {
    float *normed = s->own + number * s->own_size, *scores = normed + s->is.rows * s->is.width;
    Size V = s->is.vocabulary;
    for (Size l = 0; l < s->is.layers; l++)
        do_block(s, s->layers + l, number, normed, scores);
    normalize_rows(s, WEIGHTS(s, NORM), normed);
    linear(WEIGHTS(s, UNEMBED), normed, s->logits, s->is.width, V, s->is.rows, begin_of(s, number, V), begin_of(s, number + 1, V));
}

static void *work(void *argument) {
    Worker *worker = argument;
    while (!atomic_load(&worker->step->go)) /* how many threads there are is known when all were started */
        sched_yield();
    do_share(worker->step, worker->number);
    return NULL;
}

static void run_step(Step *s) {
    pthread_t threads[MOST_THREADS];
    Worker workers[MOST_THREADS];
    Size started = 1;
    for (; started < s->is.threads; started++) {
        workers[started] = (Worker){s, started};
        if (pthread_create(threads + started, NULL, work, workers + started))
            break; /* then those that there are do it */
    }
    s->threads = started;
    atomic_store(&s->go, 1);
    do_share(s, 0);
    while (--started)
        pthread_join(threads[started], NULL);
}

/* The numbers of some arrays of a list: as many as `sizes` says; where that is negative, the array may be None. */
static int take(PyObject *list, Size first, Size count, const Size *sizes, int writes, Py_buffer *views, float **numbers) {
    for (Size i = 0; i < count; i++) {
        PyObject *array = PyList_GetItem(list, first + i);
        Py_buffer *view = views + first + i;
        if (!array)
            return 0;
        if (array == Py_None && sizes[i] <= 0)
            continue;
        if (PyObject_GetBuffer(array, view, writes ? PyBUF_WRITABLE : PyBUF_SIMPLE) < 0)
            return 0;
        Size expected = 4 * (sizes[i] < 0 ? -sizes[i] : sizes[i]);
        if (view->len != expected) {
            PyErr_Format(PyExc_ValueError, "array %zd has %zd bytes; expected %zd", first + i, view->len, expected);
            return 0;
        }
        numbers[i] = view->buf;
    }
    return 1;
}

static int take_all(Step *s, PyObject *weights, PyObject *kept, Py_buffer *views) {
    const Shape *is = &s->is;
    Size D = is->width, K = is->key_width, F = is->hidden, up = (1 + is->gated) * F, V = is->vocabulary;
    Size inner = is->heads * K, all = inner + 2 * is->groups * K, angles = is->longest * is->turning / 2;
    const Size of_layer[LAYER_PARTS] = {D,  -D,     all * D, -all,  D * inner, -D, -D, -D,
                                         up * D, -up, D * F, -D, -K, -K, -is->heads};
    const Size of_model[MODEL_PARTS] = {D, -D, V * D, -V, angles, angles, -is->heads};
    for (Size l = 0; l < is->layers; l++) {
        Layer *layer = s->layers + l;
        Size size = is->rows * is->groups * layer->slots * K;
        if (!take(weights, l * LAYER_PARTS, LAYER_PARTS, of_layer, 0, views, layer->parts) ||
            !take(kept, 2 * l, 2, (Size[]){size, size}, 1, views + is->layers * LAYER_PARTS + MODEL_PARTS, layer->kept))
            return 0;
    }
    return take(weights, is->layers * LAYER_PARTS, MODEL_PARTS, of_model, 0, views, s->parts);
}

static int is_sound(Step *s, const Py_buffer *starts, const Py_buffer *slots, const Py_buffer *x, const Py_buffer *logits) {
    const Shape *is = &s->is;
    int sound = is->rows > 0 && is->layers > 0 && is->groups > 0 && is->position >= 0 && is->position < is->longest &&
                is->threads > 0 && is->threads <= MOST_THREADS && starts->len == is->rows * 8 &&
                slots->len == is->layers * 8 && x->len == is->rows * is->width * 4 &&
                logits->len == is->rows * is->vocabulary * 4;
    for (Size r = 0; sound && r < is->rows; r++)
        sound = s->starts[r] >= 0 && s->starts[r] <= is->position;
    for (Size l = 0; sound && l < is->layers; l++)
        sound = ((const int64_t *)slots->buf)[l] > 0;
    if (!sound)
        PyErr_SetString(PyExc_ValueError, "a step of another shape than its arrays");
    return sound;
}

/* Room for what is computed on the way; the most slots of a layer are room for scores. */
static float *make_room(Step *s, Size slots) {
    const Shape *is = &s->is;
    Size R = is->rows, inner = is->heads * is->key_width, all = inner + 2 * is->groups * is->key_width;
    s->own_size = R * is->width + is->heads / is->groups * slots;
    float *room = malloc((size_t)(R * (all + inner + is->width + 2 * is->hidden) + is->threads * s->own_size) * 4);
    s->qkv = room;
    s->mixed = s->qkv + R * all;
    s->added = s->mixed + R * inner;
    s->hidden = s->added + R * is->width;
    s->own = s->hidden + R * 2 * is->hidden;
    return room;
}

/* libertas.model.transformer.Model.hidden and unembed, for one new token in each row; x is used up */
PyObject *decode_step(PyObject *self, PyObject *args) {
    Step step = {0}, *s = &step;
    PyObject *weights, *kept;
    Py_buffer shape = {0}, slots = {0}, starts = {0}, x = {0}, logits = {0}, *views = NULL;
    float *room = NULL;
    Size arrays = 0;
    int done = 0;
    (void)self;
    if (!PyArg_ParseTuple(args, "y*ffy*O!O!y*w*w*", &shape, &s->epsilon, &s->scale, &slots, &PyList_Type, &weights,
                          &PyList_Type, &kept, &starts, &x, &logits))
        return NULL;
    if (shape.len == sizeof s->is) {
        memcpy(&s->is, shape.buf, sizeof s->is);
        s->starts = starts.buf;
        s->x = x.buf;
        s->logits = logits.buf;
        done = is_sound(s, &starts, &slots, &x, &logits);
    } else
        PyErr_SetString(PyExc_ValueError, "a shape of another size than expected");
    if (done) {
        Size most = 0;
        arrays = s->is.layers * (LAYER_PARTS + 2) + MODEL_PARTS;
        views = calloc((size_t)arrays, sizeof *views);
        s->layers = calloc((size_t)s->is.layers, sizeof *s->layers);
        for (Size l = 0; s->layers && l < s->is.layers; l++) {
            s->layers[l].slots = ((const int64_t *)slots.buf)[l];
            most = s->layers[l].slots > most ? s->layers[l].slots : most;
        }
        room = make_room(s, most);
        if (!views || !s->layers || !room) {
            PyErr_NoMemory();
            arrays = done = 0;
        } else
            done = take_all(s, weights, kept, views);
    }
    if (done) {
        PyThreadState *state = PyEval_SaveThread();
        run_step(s);
        PyEval_RestoreThread(state);
    }
    for (Size i = 0; i < arrays; i++)
        if (views[i].obj)
            PyBuffer_Release(views + i);
    Py_buffer *given[] = {&shape, &slots, &starts, &x, &logits};
    for (int i = 0; i < 5; i++)
        PyBuffer_Release(given[i]);
    free(room);
    free(s->layers);
    free(views);
    return done ? Py_NewRef(Py_None) : NULL;
}

/*
 * The C part of Python's Tensor: it holds the handle, releases it, and makes the calls that are worth it without a
 * Python function in between: operators, a[i], view, shape, functions of one tensor. On ten elements a Python function
 * would cost as much as the operation. What is not plain (arguments of other types, errors) goes to functions in Python.
 */
#include <structmember.h>

typedef struct {
    PyObject_HEAD
    sn_tensor handle;    /* ours to release; NULL before it is set */
    PyObject *shown;     /* the cffi object that `_h` gives, made when somebody asks */
    PyObject *dict;
    PyObject *weakrefs;
} tensor_object;

static PyTypeObject *handle_type;
/* What `connect` is given. */
static struct _cffi_ctypedescr *pointer_type;
static PyTypeObject *tensor_type, *parameter_type, *size_type;
static newfunc new_tuple;
static PyObject *dtypes; /* a tuple, by code */
static PyObject *fail_function, *number_function;

static int is_tensor(PyObject *object) { return PyObject_TypeCheck(object, handle_type); }

/* The handle of a tensor, borrowed. 0 with an exception: a subclass may guard its handle. */
static int handle_of(PyObject *object, sn_tensor *handle) {
    if (Py_TYPE(object) == tensor_type || Py_TYPE(object) == parameter_type) {
        *handle = ((tensor_object *)object)->handle;
        return 1;
    }
    PyObject *shown = PyObject_GetAttrString(object, "_h");
    if (shown == NULL) return 0;
    *handle = (sn_tensor)_cffi_to_c_pointer(shown, pointer_type);
    Py_DECREF(shown);
    return !(*handle == NULL && PyErr_Occurred());
}

/* Raises the exception of the library's last failure. */
static PyObject *failure(void) {
    PyObject *result = PyObject_CallObject(fail_function, NULL);
    Py_XDECREF(result);
    if (!PyErr_Occurred()) PyErr_SetString(PyExc_RuntimeError, "the library failed without a reason");
    return NULL;
}

/* A new object that takes over a handle; for NULL the exception of the failure. */
static PyObject *wrapped(sn_tensor handle, PyTypeObject *type) {
    if (handle == NULL) return failure();
    tensor_object *self = (tensor_object *)PyType_GenericAlloc(type, 0);
    if (self == NULL) {
        sn_release(handle);
        return NULL;
    }
    self->handle = handle;
    return (PyObject *)self;
}

/* Calls a function that the class Tensor has by this name; an instance may guard its attributes. */
static PyObject *in_python(const char *name, PyObject *self, PyObject *const *args, Py_ssize_t count) {
    PyObject *function = PyObject_GetAttrString((PyObject *)tensor_type, name);
    PyObject *all = PyTuple_New(count + 1);
    PyObject *result = NULL;
    if (function != NULL && all != NULL) {
        Py_INCREF(self);
        PyTuple_SetItem(all, 0, self);
        for (Py_ssize_t k = 0; k < count; k++) {
            Py_INCREF(args[k]);
            PyTuple_SetItem(all, k + 1, args[k]);
        }
        result = PyObject_CallObject(function, all);
    }
    Py_XDECREF(function);
    Py_XDECREF(all);
    return result;
}

/* ---- the object ---- */

static int tensor_traverse(tensor_object *self, visitproc visit, void *arg) {
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->dict);
    return 0;
}

static int tensor_clear(tensor_object *self) {
    Py_CLEAR(self->dict);
    return 0;
}

/* The GIL stays held: nothing that ends with a tensor waits for a thread that may want it. */
static void tensor_dealloc(tensor_object *self) {
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    if (self->weakrefs != NULL) PyObject_ClearWeakRefs((PyObject *)self);
    Py_CLEAR(self->dict);
    Py_CLEAR(self->shown);
    if (self->handle != NULL) sn_release(self->handle);
    PyObject_GC_Del(self);
    Py_DECREF(type);
}

static PyObject *get_handle(tensor_object *self, void *unused) {
    (void)unused;
    if (self->shown == NULL) {
        self->shown = _cffi_from_c_pointer((char *)self->handle, pointer_type);
        if (self->shown == NULL) return NULL;
    }
    Py_INCREF(self->shown);
    return self->shown;
}

static int set_handle(tensor_object *self, PyObject *value, void *unused) {
    (void)unused;
    if (value == NULL) {
        PyErr_SetString(PyExc_AttributeError, "_h cannot be deleted");
        return -1;
    }
    sn_tensor handle = (sn_tensor)_cffi_to_c_pointer(value, pointer_type);
    if (handle == NULL && PyErr_Occurred()) return -1;
    sn_tensor before = self->handle;
    self->handle = handle;
    Py_CLEAR(self->shown);
    if (before != NULL && before != handle) sn_release(before);
    return 0;
}

/* ---- operators ---- */

enum {
    ADD, SUB, MUL, DIV, FLOORDIV, REMAINDER, POW, AND, OR, XOR, SHL, SHR, LT, LE, EQ, NE, GT, GE, NEG, OPERATORS
};
static const char *const operator_names[OPERATORS] = {
    "add", "sub", "mul", "div", "floorDivide", "remainder", "pow", "bitwiseAnd", "bitwiseOr", "bitwiseXor",
    "shiftLeft", "shiftRight", "lt", "le", "eq", "ne", "gt", "ge", "neg",
};
static int32_t operator_codes[OPERATORS];

/* Whether the tensor is the first operand, the second, or the first and the result. */
enum { FORWARD, REVERSED, IN_PLACE };

static PyObject *changed(PyObject *tensor, int32_t status) {
    if (status != SN_OK) return failure();
    Py_INCREF(tensor);
    return tensor;
}

/* A tensor with a number; whatever else goes to Python's function. */
static PyObject *with_number(int operator, PyObject *tensor, PyObject *other, int mode) {
    double d = 0;
    long long i = 0;
    int32_t kind;
    if (PyFloat_CheckExact(other)) {
        kind = 0;
        d = PyFloat_AsDouble(other);
    } else if (PyLong_CheckExact(other)) {
        kind = 1;
        i = PyLong_AsLongLong(other);
        if (i == -1 && PyErr_Occurred()) return NULL;
    } else {
        return PyObject_CallFunction(number_function, "iOOi", (int)operator_codes[operator], tensor, other, mode);
    }
    sn_tensor handle, result = NULL;
    int32_t status = SN_OK;
    if (!handle_of(tensor, &handle)) return NULL;
    Py_BEGIN_ALLOW_THREADS
    if (mode == IN_PLACE) {
        status = sn_binary_scalar_(operator_codes[operator], handle, d, i, kind);
    } else {
        result = sn_binary_scalar(operator_codes[operator], handle, d, i, kind, mode);
    }
    Py_END_ALLOW_THREADS
    return mode == IN_PLACE ? changed(tensor, status) : wrapped(result, tensor_type);
}

static PyObject *binary(int operator, PyObject *a, PyObject *b) {
    if (!is_tensor(a)) return with_number(operator, b, a, REVERSED);
    if (!is_tensor(b)) return with_number(operator, a, b, FORWARD);
    sn_tensor first, second, result;
    if (!handle_of(a, &first) || !handle_of(b, &second)) return NULL;
    Py_BEGIN_ALLOW_THREADS
    result = sn_binary(operator_codes[operator], first, second);
    Py_END_ALLOW_THREADS
    return wrapped(result, tensor_type);
}

static PyObject *binary_in_place(int operator, PyObject *a, PyObject *b) {
    if (!is_tensor(b)) return with_number(operator, a, b, IN_PLACE);
    sn_tensor first, second;
    int32_t status;
    if (!handle_of(a, &first) || !handle_of(b, &second)) return NULL;
    Py_BEGIN_ALLOW_THREADS
    status = sn_binary_(operator_codes[operator], first, second);
    Py_END_ALLOW_THREADS
    return changed(a, status);
}

#define BINARY(name, operator) \
    static PyObject *name(PyObject *a, PyObject *b) { return binary(operator, a, b); } \
    static PyObject *name##_in_place(PyObject *a, PyObject *b) { return binary_in_place(operator, a, b); }
BINARY(tensor_add, ADD)
BINARY(tensor_sub, SUB)
BINARY(tensor_mul, MUL)
BINARY(tensor_div, DIV)
BINARY(tensor_floordiv, FLOORDIV)
BINARY(tensor_remainder, REMAINDER)
BINARY(tensor_and, AND)
BINARY(tensor_or, OR)
BINARY(tensor_xor, XOR)
BINARY(tensor_shl, SHL)
BINARY(tensor_shr, SHR)

static PyObject *tensor_pow(PyObject *a, PyObject *b, PyObject *modulus) {
    if (modulus != Py_None) Py_RETURN_NOTIMPLEMENTED;
    return binary(POW, a, b);
}

static PyObject *tensor_pow_in_place(PyObject *a, PyObject *b, PyObject *modulus) {
    if (modulus != Py_None) Py_RETURN_NOTIMPLEMENTED;
    return binary_in_place(POW, a, b);
}

static PyObject *tensor_matmul(PyObject *a, PyObject *b) {
    if (!is_tensor(a) || !is_tensor(b)) Py_RETURN_NOTIMPLEMENTED;
    sn_tensor first, second, result;
    if (!handle_of(a, &first) || !handle_of(b, &second)) return NULL;
    Py_BEGIN_ALLOW_THREADS
    result = sn_matmul(first, second);
    Py_END_ALLOW_THREADS
    return wrapped(result, tensor_type);
}

static PyObject *tensor_compare(PyObject *a, PyObject *b, int comparison) {
    static const int operators[] = {[Py_LT] = LT, [Py_LE] = LE, [Py_EQ] = EQ, [Py_NE] = NE, [Py_GT] = GT, [Py_GE] = GE};
    return binary(operators[comparison], a, b);
}

static PyObject *unary(int32_t code, PyObject *self) {
    sn_tensor handle, result;
    if (!handle_of(self, &handle)) return NULL;
    Py_BEGIN_ALLOW_THREADS
    result = sn_unary(code, handle, 0, 0, 0);
    Py_END_ALLOW_THREADS
    return wrapped(result, tensor_type);
}

static PyObject *tensor_neg(PyObject *self) { return unary(operator_codes[NEG], self); }

#define MAX_RANK 8

/* An entry of an index as sn_index_view takes it. 0 if it is not a plain one, with or without an exception. */
static int basic_entry(PyObject *item, int64_t *entry) {
    entry[1] = entry[2] = entry[3] = 0;
    if (PyLong_CheckExact(item)) {
        entry[0] = 0;
        entry[1] = PyLong_AsLongLong(item);
        return !(entry[1] == -1 && PyErr_Occurred());
    }
    if (PySlice_Check(item)) {
        Py_ssize_t start, stop, step;
        if (PySlice_Unpack(item, &start, &stop, &step) < 0 || step <= 0) return 0;
        int whole = start == 0 && stop == PY_SSIZE_T_MAX && step == 1;
        entry[0] = whole ? 1 : 7;
        entry[1] = whole ? 0 : start;
        entry[2] = whole ? 0 : stop;
        entry[3] = whole ? 0 : step;
        return 1;
    }
    entry[0] = item == Py_None ? 2 : 3;
    return item == Py_None || item == Py_Ellipsis;
}

/* self[index] for integers, slices, None and `...`. */
static PyObject *tensor_subscript(PyObject *self, PyObject *index) {
    int64_t entries[4 * MAX_RANK];
    Py_ssize_t count = PyTuple_CheckExact(index) ? PyTuple_Size(index) : 1;
    int plain = count >= 1 && count <= MAX_RANK;
    for (Py_ssize_t k = 0; plain && k < count; k++)
        plain = basic_entry(PyTuple_CheckExact(index) ? PyTuple_GetItem(index, k) : index, entries + 4 * k);
    if (!plain) {
        PyErr_Clear();
        return in_python("_get", self, &index, 1);
    }
    sn_tensor handle, result;
    if (!handle_of(self, &handle)) return NULL;
    Py_BEGIN_ALLOW_THREADS
    if (count == 1 && entries[0] == 0) {
        result = sn_index_at(handle, entries[1]);
    } else if (count == 1 && entries[0] == 7) {
        result = sn_index_slice(handle, 3, entries[1], entries[2], entries[3]);
    } else {
        result = sn_index_view(handle, entries, count);
    }
    Py_END_ALLOW_THREADS
    return wrapped(result, tensor_type);
}

/* ---- methods ---- */

/* A method that takes sizes, all of them plain integers. */
static PyObject *with_sizes(
    PyObject *self, PyObject *const *args, Py_ssize_t count, sn_tensor (*call)(sn_tensor, const int64_t *, int64_t),
    const char *name
) {
    int64_t sizes[MAX_RANK];
    int plain = count >= 1 && count <= MAX_RANK;
    for (Py_ssize_t k = 0; plain && k < count; k++) {
        if (!PyLong_CheckExact(args[k])) {
            plain = 0;
        } else {
            sizes[k] = PyLong_AsLongLong(args[k]);
            if (sizes[k] == -1 && PyErr_Occurred()) return NULL;
        }
    }
    if (plain) {
        sn_tensor handle, result;
        if (!handle_of(self, &handle)) return NULL;
        Py_BEGIN_ALLOW_THREADS
        result = call(handle, sizes, count);
        Py_END_ALLOW_THREADS
        return wrapped(result, tensor_type);
    }
    return in_python(name, self, args, count);
}

static PyObject *tensor_view(PyObject *self, PyObject *const *args, Py_ssize_t count) {
    return with_sizes(self, args, count, sn_view, "_view");
}

static PyObject *tensor_reshape(PyObject *self, PyObject *const *args, Py_ssize_t count) {
    return with_sizes(self, args, count, sn_reshape, "_reshape");
}

static PyObject *tensor_detach(PyObject *self, PyObject *unused) {
    (void)unused;
    sn_tensor handle, result;
    if (!handle_of(self, &handle)) return NULL;
    Py_BEGIN_ALLOW_THREADS
    result = sn_detach(handle);
    Py_END_ALLOW_THREADS
    return wrapped(result, tensor_type);
}

static PyObject *tensor_item(PyObject *self, PyObject *unused) {
    (void)unused;
    sn_tensor handle;
    sn_scalar value;
    int32_t status;
    if (!handle_of(self, &handle)) return NULL;
    Py_BEGIN_ALLOW_THREADS
    status = sn_item(handle, &value);
    Py_END_ALLOW_THREADS
    if (status != SN_OK) return failure();
    if (value.kind == 0) return PyFloat_FromDouble(value.d);
    return value.kind == 2 ? PyBool_FromLong(value.i != 0) : PyLong_FromLongLong(value.i);
}

static PyObject *tensor_dim(PyObject *self, PyObject *unused) {
    (void)unused;
    sn_tensor handle;
    return handle_of(self, &handle) ? PyLong_FromLong(sn_rank(handle)) : NULL;
}

static PyObject *tensor_numel(PyObject *self, PyObject *unused) {
    (void)unused;
    sn_tensor handle;
    return handle_of(self, &handle) ? PyLong_FromLongLong(sn_count(handle)) : NULL;
}

static PyObject *tensor_shape(PyObject *self, void *unused) {
    (void)unused;
    sn_tensor handle;
    int64_t few[MAX_RANK], *sizes = few;
    if (!handle_of(self, &handle)) return NULL;
    Py_ssize_t rank = sn_rank(handle);
    if (rank < 0) return failure();
    if (rank > MAX_RANK && (sizes = malloc(rank * sizeof *sizes)) == NULL) return PyErr_NoMemory();
    sn_shape(handle, sizes, NULL, rank);
    PyObject *plain = PyTuple_New(rank), *arguments = NULL, *shape = NULL;
    for (Py_ssize_t d = 0; plain != NULL && d < rank; d++) {
        PyObject *size = PyLong_FromLongLong(sizes[d]);
        if (size == NULL) {
            Py_CLEAR(plain);
        } else {
            PyTuple_SetItem(plain, d, size);
        }
    }
    if (sizes != few) free(sizes);
    /* What calling the class does, without looking for an __init__. */
    if (plain != NULL) arguments = PyTuple_Pack(1, plain);
    if (arguments != NULL) shape = new_tuple(size_type, arguments, NULL);
    Py_XDECREF(arguments);
    Py_XDECREF(plain);
    return shape;
}

/* size(dim=None) */
static PyObject *tensor_size(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names) {
    Py_ssize_t named = names == NULL ? 0 : PyTuple_Size(names);
    if (count + named == 0) return tensor_shape(self, NULL);
    if (count + named > 1
        || (named == 1 && PyUnicode_CompareWithASCIIString(PyTuple_GetItem(names, 0), "dim") != 0)) {
        PyErr_SetString(PyExc_TypeError, "size() takes one argument, dim");
        return NULL;
    }
    sn_tensor handle;
    int64_t sizes[MAX_RANK];
    if (PyLong_CheckExact(args[0])) {
        if (!handle_of(self, &handle)) return NULL;
        long long rank = sn_rank(handle), dim = PyLong_AsLongLong(args[0]);
        int fits = !(dim == -1 && PyErr_Occurred());
        PyErr_Clear();
        if (fits && rank <= MAX_RANK && dim >= -rank && dim < rank) {
            sn_shape(handle, sizes, NULL, rank);
            return PyLong_FromLongLong(sizes[dim < 0 ? dim + rank : dim]);
        }
    }
    return in_python("_size", self, args, 1);
}

static PyObject *tensor_ndim(PyObject *self, void *unused) {
    (void)unused;
    return tensor_dim(self, NULL);
}

static PyObject *tensor_dtype(PyObject *self, void *unused) {
    (void)unused;
    sn_tensor handle;
    if (!handle_of(self, &handle)) return NULL;
    PyObject *dtype = PyTuple_GetItem(dtypes, sn_dtype(handle));
    Py_XINCREF(dtype);
    return dtype;
}

static PyObject *tensor_requires_grad(PyObject *self, void *unused) {
    (void)unused;
    sn_tensor handle;
    return handle_of(self, &handle) ? PyBool_FromLong(sn_requires_grad(handle)) : NULL;
}

static int set_requires_grad(PyObject *self, PyObject *value, void *unused) {
    (void)unused;
    sn_tensor handle;
    if (value == NULL) {
        PyErr_SetString(PyExc_AttributeError, "requires_grad cannot be deleted");
        return -1;
    }
    int wanted = PyObject_IsTrue(value);
    if (wanted < 0 || !handle_of(self, &handle)) return -1;
    if (sn_set_requires_grad(handle, wanted) == SN_OK) return 0;
    failure();
    return -1;
}

/* Methods without arguments for functions of one element: a C function each, since a method is not told its name. */
#define METHODS 64
static int32_t method_codes[METHODS];
#define EIGHT(M, n) M(n##0) M(n##1) M(n##2) M(n##3) M(n##4) M(n##5) M(n##6) M(n##7)
#define ALL(M) EIGHT(M, 00) EIGHT(M, 01) EIGHT(M, 02) EIGHT(M, 03) EIGHT(M, 04) EIGHT(M, 05) EIGHT(M, 06) EIGHT(M, 07)
#define METHOD(n) \
    static PyObject *method_##n(PyObject *self, PyObject *unused) { (void)unused; return unary(method_codes[n], self); }
ALL(METHOD)
#define ENTRY(n) method_##n,
static const PyCFunction method_functions[METHODS] = {ALL(ENTRY)};

/* unary_method(name, code, doc): a method for an elementwise operation. */
static PyObject *unary_method(PyObject *module, PyObject *args) {
    static int count = 0;
    const char *name, *doc;
    int code;
    (void)module;
    if (!PyArg_ParseTuple(args, "sis", &name, &code, &doc)) return NULL;
    if (count == METHODS) {
        PyErr_SetString(PyExc_ImportError, "no room for another method: raise METHODS");
        return NULL;
    }
    /* Like the type they live as long as the process. */
    PyMethodDef *method = calloc(1, sizeof *method);
    char *ownName = strdup(name), *ownDoc = strdup(doc);
    if (method == NULL || ownName == NULL || ownDoc == NULL) return PyErr_NoMemory();
    method_codes[count] = code;
    *method = (PyMethodDef){ownName, method_functions[count], METH_NOARGS, ownDoc};
    count++;
    return PyDescr_NewMethod(handle_type, method);
}

/* ---- for the package ---- */

/* wrap(handle, cls=Tensor) */
static PyObject *wrap(PyObject *module, PyObject *const *args, Py_ssize_t count) {
    (void)module;
    PyTypeObject *type = tensor_type;
    if (count == 2) {
        if (!PyType_Check(args[1]) || !PyType_IsSubtype((PyTypeObject *)args[1], handle_type)) {
            PyErr_SetString(PyExc_TypeError, "wrap: expected a subclass of Tensor");
            return NULL;
        }
        type = (PyTypeObject *)args[1];
    } else if (count != 1) {
        PyErr_SetString(PyExc_TypeError, "wrap takes a handle and a class");
        return NULL;
    }
    sn_tensor handle = (sn_tensor)_cffi_to_c_pointer(args[0], pointer_type);
    if (handle == NULL && PyErr_Occurred()) return NULL;
    PyObject *self = wrapped(handle, type);
    if (self != NULL) {
        Py_INCREF(args[0]);
        ((tensor_object *)self)->shown = args[0];
    }
    return self;
}

static PyObject *connect(PyObject *module, PyObject *args) {
    PyObject *pointer, *tensor, *parameter, *size;
    (void)module;
    if (!PyArg_ParseTuple(
            args, "OO!O!O!O!OO", &pointer, &PyType_Type, &tensor, &PyType_Type, &parameter, &PyType_Type, &size,
            &PyTuple_Type, &dtypes, &fail_function, &number_function))
        return NULL;
    /* All of it is kept. */
    Py_INCREF(args);
    pointer_type = (struct _cffi_ctypedescr *)pointer;
    tensor_type = (PyTypeObject *)tensor;
    parameter_type = (PyTypeObject *)parameter;
    size_type = (PyTypeObject *)size;
    new_tuple = (newfunc)PyType_GetSlot(&PyTuple_Type, Py_tp_new);
    Py_RETURN_NONE;
}

static PyGetSetDef tensor_properties[] = {
    {"_h", (getter)get_handle, (setter)set_handle, "The handle, for calls of the library.", NULL},
    {"shape", tensor_shape, NULL, "The sizes of all dimensions.", NULL},
    {"ndim", tensor_ndim, NULL, "Number of dimensions.", NULL},
    {"dtype", tensor_dtype, NULL, "The element type.", NULL},
    {"requires_grad", tensor_requires_grad, set_requires_grad,
     "Whether backward computes a gradient for this tensor.", NULL},
    {"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, NULL, NULL},
    {0},
};

static PyMemberDef tensor_members[] = {
    {"__dictoffset__", T_PYSSIZET, offsetof(tensor_object, dict), READONLY, NULL},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(tensor_object, weakrefs), READONLY, NULL},
    {0},
};

static PyMethodDef tensor_methods[] = {
    {"view", (PyCFunction)(void (*)(void))tensor_view, METH_FASTCALL,
     "view($self, /, *shape)\n--\n\n"
     "Another shape over the same elements; or the same bytes as another dtype. One size may be -1.\n\n"
     "Where a layer has laid out its result in an order of its own that does not allow a view, the elements are\n"
     "copied."},
    {"reshape", (PyCFunction)(void (*)(void))tensor_reshape, METH_FASTCALL,
     "reshape($self, /, *shape)\n--\n\n"
     "Another shape over the same elements: a view where possible, otherwise a copy. One size may be -1."},
    {"item", tensor_item, METH_NOARGS,
     "item($self, /)\n--\n\nThe value of a tensor with one element, as a Python number."},
    {"size", (PyCFunction)(void (*)(void))tensor_size, METH_FASTCALL | METH_KEYWORDS,
     "size($self, /, dim=None)\n--\n\nThe shape, or the size of one dimension."},
    {"dim", tensor_dim, METH_NOARGS, "dim($self, /)\n--\n\nNumber of dimensions."},
    {"ndimension", tensor_dim, METH_NOARGS, "ndimension($self, /)\n--\n\nNumber of dimensions."},
    {"numel", tensor_numel, METH_NOARGS, "numel($self, /)\n--\n\nNumber of elements."},
    {"nelement", tensor_numel, METH_NOARGS, "nelement($self, /)\n--\n\nNumber of elements."},
    {"detach", tensor_detach, METH_NOARGS,
     "detach($self, /)\n--\n\nThe same values and memory, outside of any graph."},
    {0},
};

static PyType_Slot tensor_slots[] = {
    {Py_tp_doc, "What a tensor is in C: a handle."},
    {Py_tp_dealloc, tensor_dealloc},
    {Py_tp_traverse, tensor_traverse},
    {Py_tp_clear, tensor_clear},
    {Py_tp_getset, tensor_properties},
    {Py_tp_members, tensor_members},
    {Py_tp_methods, tensor_methods},
    {Py_tp_richcompare, tensor_compare},
    {Py_mp_subscript, tensor_subscript},
    {Py_nb_add, tensor_add},
    {Py_nb_inplace_add, tensor_add_in_place},
    {Py_nb_subtract, tensor_sub},
    {Py_nb_inplace_subtract, tensor_sub_in_place},
    {Py_nb_multiply, tensor_mul},
    {Py_nb_inplace_multiply, tensor_mul_in_place},
    {Py_nb_true_divide, tensor_div},
    {Py_nb_inplace_true_divide, tensor_div_in_place},
    {Py_nb_floor_divide, tensor_floordiv},
    {Py_nb_inplace_floor_divide, tensor_floordiv_in_place},
    {Py_nb_remainder, tensor_remainder},
    {Py_nb_inplace_remainder, tensor_remainder_in_place},
    {Py_nb_power, tensor_pow},
    {Py_nb_inplace_power, tensor_pow_in_place},
    {Py_nb_and, tensor_and},
    {Py_nb_inplace_and, tensor_and_in_place},
    {Py_nb_or, tensor_or},
    {Py_nb_inplace_or, tensor_or_in_place},
    {Py_nb_xor, tensor_xor},
    {Py_nb_inplace_xor, tensor_xor_in_place},
    {Py_nb_lshift, tensor_shl},
    {Py_nb_inplace_lshift, tensor_shl_in_place},
    {Py_nb_rshift, tensor_shr},
    {Py_nb_inplace_rshift, tensor_shr_in_place},
    {Py_nb_matrix_multiply, tensor_matmul},
    {Py_nb_negative, tensor_neg},
    {0},
};

static PyType_Spec tensor_spec = {
    "swiftnet._binding.TensorHandle", sizeof(tensor_object), 0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC, tensor_slots,
};

static PyMethodDef functions[] = {
    {"connect", connect, METH_VARARGS,
     "Tells the type of handles, the classes, and the functions for what is not plain."},
    {"unary_method", unary_method, METH_VARARGS, "A method of tensors for an elementwise operation."},
    {"wrap", (PyCFunction)(void (*)(void))wrap, METH_FASTCALL,
     "A tensor that takes over a handle; raises the library's error if there is none."},
};

/* Puts the type and its functions into this module, which cffi has made. Called without the GIL, as all functions. */
static int32_t swiftnet_install(void) {
    PyGILState_STATE state = PyGILState_Ensure();
    PyObject *module = PyImport_ImportModule("swiftnet._binding");
    int failed = module == NULL;
    if (!failed && handle_type == NULL) handle_type = (PyTypeObject *)PyType_FromSpec(&tensor_spec);
    failed = failed || handle_type == NULL
        || PyObject_SetAttrString(module, "TensorHandle", (PyObject *)handle_type) < 0;
    for (size_t k = 0; !failed && k < sizeof functions / sizeof *functions; k++) {
        PyObject *function = PyCFunction_NewEx(functions + k, NULL, NULL);
        failed = function == NULL || PyObject_SetAttrString(module, functions[k].ml_name, function) < 0;
        Py_XDECREF(function);
    }
    for (int k = 0; k < OPERATORS; k++) {
        operator_codes[k] = sn_elementwise_code(operator_names[k]);
        failed = failed || operator_codes[k] < 0;
    }
    Py_XDECREF(module);
    if (failed) PyErr_Clear();
    PyGILState_Release(state);
    return failed;
}

/* swiftnet: the C interface.
 *
 * Handles (sn_tensor, …) are owned by whoever receives them and given back with the matching release function; a
 * handle passed as an argument stays the caller's. A function that makes a handle returns NULL on failure, any other
 * returns a status (SN_OK or one of sn_status); sn_last_status and sn_last_error then tell what was wrong, by
 * thread. Functions may be called from any thread; one tensor must not be changed by two threads at once.
 *
 * Lists of integers are (pointer, count); dimensions may be negative, from the end. Strings are UTF-8.
 */
#ifndef SWIFTNET_H
#define SWIFTNET_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- status ------------------------------------------------------------------------------------------------ */

typedef enum {
  SN_OK = 0,
  SN_RUNTIME_ERROR = 1,
  SN_VALUE_ERROR = 2,
  SN_TYPE_ERROR = 3,
  SN_INDEX_ERROR = 4,
  SN_MEMORY_ERROR = 5,
  SN_NOT_IMPLEMENTED = 6,
  SN_INTERRUPTED = 7,
  SN_CALLBACK_ERROR = 8,
  SN_IO_ERROR = 9
} sn_status;

/* Version of this interface; it changes when a declaration here changes its meaning. */
int32_t sn_abi_version(void);
/* Status and message of the last failure on this thread; the text lives until the next failure. */
int32_t sn_last_status(void);
const char *sn_last_error(void);

/* ---- runtime ----------------------------------------------------------------------------------------------- */

int32_t sn_get_num_threads(void);
int32_t sn_set_num_threads(int32_t count);
/* The instruction set in use ("baseline", "avx2", "avx512") and those that this machine has, as text. */
const char *sn_config(void);
/* Bytes in use, highest use since the start or the last reset, bytes kept for reuse, requests to the system. */
int32_t sn_memory_statistics(int64_t *live, int64_t *peak, int64_t *cached, int64_t *allocations);
int32_t sn_memory_reset_peak(void);
int32_t sn_memory_empty(void);
/* Whether convolutions may use Winograd's algorithm (1 at first). */
int32_t sn_get_winograd(void);
int32_t sn_set_winograd(int32_t enabled);
/* A function that says, by a nonzero result, that long work is to stop. Asked every 50 ms at most. */
int32_t sn_set_interrupt_check(int32_t (*check)(void));
/* Dtype of floating-point results where no tensor says otherwise. */
int32_t sn_get_default_dtype(void);
int32_t sn_set_default_dtype(int32_t dtype);

/* ---- tensors ----------------------------------------------------------------------------------------------- */

typedef struct sn_tensor_s *sn_tensor;

/* dtypes: 0 float32, 1 float64, 2 float16, 3 bfloat16, 4 int8, 5 int16, 6 int32, 7 int64, 8 uint8, 9 bool */

/* A number beside tensors. kind: 0 float (d), 1 integer (i), 2 bool (i). */
typedef struct {
  double d;
  int64_t i;
  int32_t kind;
} sn_scalar;

sn_tensor sn_retain(sn_tensor tensor);
void sn_release(sn_tensor tensor);

sn_tensor sn_empty(const int64_t *shape, int64_t rank, int32_t dtype);
sn_tensor sn_full(const int64_t *shape, int64_t rank, sn_scalar value, int32_t dtype);
/* dtype -1: int64 if all are integers, else the default dtype */
sn_tensor sn_arange(sn_scalar start, sn_scalar end, sn_scalar step, int32_t dtype);
sn_tensor sn_linspace(double start, double end, int64_t count, int32_t dtype);
sn_tensor sn_eye(int64_t rows, int64_t columns, int32_t dtype);
/* A tensor over the caller's memory; release(context) is called when it is no longer used. Strides in elements.
 * `bytes` of memory must be readable and writable from `data`. */
sn_tensor sn_from_memory(void *data, int64_t bytes, const int64_t *shape, const int64_t *strides, int64_t rank,
                         int64_t offset, int32_t dtype, void (*release)(void *), void *context);
/* A tensor with a copy of row-major data. */
sn_tensor sn_from_data(const void *data, const int64_t *shape, int64_t rank, int32_t dtype);

int32_t sn_dtype(sn_tensor tensor);
int32_t sn_rank(sn_tensor tensor);
int64_t sn_count(sn_tensor tensor);
/* Writes at most `capacity` sizes or strides; both arrays may be NULL. */
int32_t sn_shape(sn_tensor tensor, int64_t *shape, int64_t *strides, int64_t capacity);
int64_t sn_storage_offset(sn_tensor tensor);
int64_t sn_storage_bytes(sn_tensor tensor);
int64_t sn_version(sn_tensor tensor);
int32_t sn_is_contiguous(sn_tensor tensor);
int32_t sn_is_channels_last(sn_tensor tensor);
/* The first element; from now on memory outside may read and write it. */
void *sn_data(sn_tensor tensor);
/* An identity of the tensor (not of its handle), and of its storage. */
int64_t sn_storage_id(sn_tensor tensor);
/* The value of a tensor with one element. */
int32_t sn_item(sn_tensor tensor, sn_scalar *value);

/* ---- copies and assignment --------------------------------------------------------------------------------- */

sn_tensor sn_clone(sn_tensor tensor);
sn_tensor sn_contiguous(sn_tensor tensor);
sn_tensor sn_channels_last(sn_tensor tensor);
sn_tensor sn_to_dtype(sn_tensor tensor, int32_t dtype);
sn_tensor sn_detach(sn_tensor tensor);
/* Takes the tensor itself out of its graph. */
int32_t sn_detach_(sn_tensor tensor);
int32_t sn_copy_(sn_tensor target, sn_tensor source);
int32_t sn_fill_(sn_tensor target, sn_scalar value);
/* Makes `target` share the memory, shape and dtype of `source`, and keep its own place in the graph. */
int32_t sn_set_data(sn_tensor target, sn_tensor source);

/* ---- elementwise ------------------------------------------------------------------------------------------- */

/* The code of an elementwise operation by name ("exp", "leakyRelu"), or -1. */
int32_t sn_elementwise_code(const char *name);
sn_tensor sn_unary(int32_t op, sn_tensor a, double p, double q, double r);
int32_t sn_unary_(int32_t op, sn_tensor a, double p, double q, double r);
sn_tensor sn_binary(int32_t op, sn_tensor a, sn_tensor b);
/* reversed: the number is the first operand */
sn_tensor sn_binary_scalar(int32_t op, sn_tensor a, double d, int64_t i, int32_t kind, int32_t reversed);
int32_t sn_binary_(int32_t op, sn_tensor a, sn_tensor b);
int32_t sn_binary_scalar_(int32_t op, sn_tensor a, double d, int64_t i, int32_t kind);
/* a + alpha * b, a - alpha * b */
sn_tensor sn_add_scaled(int32_t op, sn_tensor a, sn_tensor b, sn_scalar alpha);
int32_t sn_add_scaled_(int32_t op, sn_tensor a, sn_tensor b, sn_scalar alpha);
/* condition ? a : b; a NULL operand takes the scalar beside it */
sn_tensor sn_where(sn_tensor condition, sn_tensor a, sn_scalar a_value, sn_tensor b, sn_scalar b_value);

/* ---- reductions -------------------------------------------------------------------------------------------- */

/* No dimensions (count 0) means all. dtype -1: PyTorch's choice. */
sn_tensor sn_sum(sn_tensor tensor, const int64_t *dims, int64_t count, int32_t keepdim, int32_t dtype);
sn_tensor sn_mean(sn_tensor tensor, const int64_t *dims, int64_t count, int32_t keepdim, int32_t dtype);
sn_tensor sn_prod(sn_tensor tensor, const int64_t *dims, int64_t count, int32_t keepdim, int32_t dtype);
sn_tensor sn_amax(sn_tensor tensor, const int64_t *dims, int64_t count, int32_t keepdim);
sn_tensor sn_amin(sn_tensor tensor, const int64_t *dims, int64_t count, int32_t keepdim);
sn_tensor sn_any(sn_tensor tensor, const int64_t *dims, int64_t count, int32_t keepdim);
sn_tensor sn_all(sn_tensor tensor, const int64_t *dims, int64_t count, int32_t keepdim);
sn_tensor sn_var(sn_tensor tensor, const int64_t *dims, int64_t count, double correction, int32_t keepdim);
sn_tensor sn_std(sn_tensor tensor, const int64_t *dims, int64_t count, double correction, int32_t keepdim);

/* ---- shapes ------------------------------------------------------------------------------------------------ */

/* One size may be -1. A view where the strides allow it; otherwise sn_reshape copies, and sn_view fails unless an
 * operation of this library chose the order of the elements. */
sn_tensor sn_view(sn_tensor tensor, const int64_t *shape, int64_t rank);
sn_tensor sn_reshape(sn_tensor tensor, const int64_t *shape, int64_t rank);
/* The same bytes as elements of another dtype. */
sn_tensor sn_view_dtype(sn_tensor tensor, int32_t dtype);
sn_tensor sn_permute(sn_tensor tensor, const int64_t *dims, int64_t count);
sn_tensor sn_transpose(sn_tensor tensor, int64_t dim0, int64_t dim1);
sn_tensor sn_expand(sn_tensor tensor, const int64_t *shape, int64_t rank);
/* count -1: all dimensions of size one */
sn_tensor sn_squeeze(sn_tensor tensor, const int64_t *dims, int64_t count);
sn_tensor sn_unsqueeze(sn_tensor tensor, int64_t dim);
sn_tensor sn_select(sn_tensor tensor, int64_t dim, int64_t index);
/* start and end as in a Python slice; has_start, has_end say whether they are given */
sn_tensor sn_slice(sn_tensor tensor, int64_t dim, int32_t has_start, int64_t start, int32_t has_end, int64_t end,
                   int64_t step);
sn_tensor sn_narrow(sn_tensor tensor, int64_t dim, int64_t start, int64_t length);
sn_tensor sn_as_strided(sn_tensor tensor, const int64_t *shape, const int64_t *strides, int64_t rank,
                        int64_t offset);
sn_tensor sn_diagonal(sn_tensor tensor, int64_t offset, int64_t dim1, int64_t dim2);
sn_tensor sn_unfold(sn_tensor tensor, int64_t dim, int64_t size, int64_t step);
sn_tensor sn_cat(const sn_tensor *tensors, int64_t count, int64_t dim);

/* ---- matrices ---------------------------------------------------------------------------------------------- */

sn_tensor sn_matmul(sn_tensor a, sn_tensor b);
sn_tensor sn_mm(sn_tensor a, sn_tensor b);
sn_tensor sn_bmm(sn_tensor a, sn_tensor b);

/* ---- automatic differentiation ----------------------------------------------------------------------------- */

int32_t sn_is_grad_enabled(void);
int32_t sn_set_grad_enabled(int32_t enabled);
int32_t sn_is_inference_mode(void);
int32_t sn_set_inference_mode(int32_t enabled);
int32_t sn_requires_grad(sn_tensor tensor);
int32_t sn_set_requires_grad(sn_tensor tensor, int32_t value);
int32_t sn_is_leaf(sn_tensor tensor);
int32_t sn_retain_grad(sn_tensor tensor);
/* The gradient, or NULL with status SN_OK if there is none. */
sn_tensor sn_grad(sn_tensor tensor);
/* NULL takes the gradient away. */
int32_t sn_set_grad(sn_tensor tensor, sn_tensor grad);
/* gradients: NULL entries stand for 1. inputs: if count is not 0, only they receive gradients. */
int32_t sn_backward(const sn_tensor *outputs, const sn_tensor *gradients, int64_t count, int32_t retain_graph,
                    int32_t create_graph, const sn_tensor *inputs, int64_t input_count);
/* Writes one handle per input to `results`; NULL for an unused input where that is allowed. */
int32_t sn_gradients(const sn_tensor *outputs, const sn_tensor *gradients, int64_t count, const sn_tensor *inputs,
                     int64_t input_count, int32_t retain_graph, int32_t create_graph, int32_t allow_unused,
                     sn_tensor *results);

/* Nodes of the graph. */
typedef struct sn_node_s *sn_node;
void sn_node_release(sn_node node);
/* The operation that made a tensor, or NULL with status SN_OK for a leaf. */
sn_node sn_grad_fn(sn_tensor tensor);
/* The text lives as long as the node. */
const char *sn_node_name(sn_node node);
int64_t sn_node_input_count(sn_node node);
/* The node that the gradient of an input goes to, or NULL; `index` receives which of its outputs. */
sn_node sn_node_input(sn_node node, int64_t position, int64_t *index);

/* A hook receives its context and the gradient (a handle that it must not release), and returns a new handle, or
 * NULL to leave the gradient as it is; it reports failure through `status`. */
typedef sn_tensor (*sn_hook)(void *context, sn_tensor grad, int32_t *status);
/* Returns an identity for sn_remove_hook, or -1. release(context) is called when the hook is gone. */
int64_t sn_register_hook(sn_tensor tensor, sn_hook hook, void *context, void (*release)(void *));
int32_t sn_remove_hook(sn_tensor tensor, int64_t hook);

/* What a custom function saved; valid until its backward returns. */
typedef struct sn_backward_context_s *sn_backward_context;
/* A saved tensor as a new handle. Fails if it was changed in place since. */
sn_tensor sn_saved_tensor(sn_backward_context saved, int64_t index);

/* A custom function. backward receives the gradients of the outputs (NULL where none came), and writes those of the
 * inputs as new handles or NULL. */
typedef int32_t (*sn_backward_function)(void *context, sn_backward_context saved, const sn_tensor *gradients,
                                        int64_t count, sn_tensor *results, int64_t result_count);
/* Makes `outputs` the results of a node with the given inputs. changed: for each output whether it is an input that
 * was changed in place, or NULL. saved: tensors that backward will ask for. */
int32_t sn_record(const char *name, const sn_tensor *inputs, int64_t input_count, const sn_tensor *outputs,
                  int64_t output_count, const int32_t *changed, const sn_tensor *saved, int64_t saved_count,
                  sn_backward_function backward, void *context, void (*release)(void *));

/* ---- lists of tensors -------------------------------------------------------------------------------------- */

/* What an operation with several results returns; NULL on failure. */
typedef struct sn_list_s *sn_list;
int64_t sn_list_count(sn_list list);
/* Writes all tensors to `results`, which the caller then owns, and releases the list. */
void sn_list_take(sn_list list, sn_tensor *results);

/* ---- indexing ---------------------------------------------------------------------------------------------- */

/* A view by basic indices, four integers each: kind, a, b, c. Kinds: 0 the position a; 1 the dimension as it is;
 * 2 a new dimension; 3 as many whole dimensions as are left; 4 to 7 a slice a:b:c, where bit 0 says that the start
 * is given and bit 1 that the end is. */
sn_tensor sn_index_view(sn_tensor tensor, const int64_t *items, int64_t count);
/* tensor[start:stop:step]; bit 0 of `given` says that the start is given, bit 1 that the end is. */
sn_tensor sn_index_slice(sn_tensor tensor, int32_t given, int64_t start, int64_t stop, int64_t step);
/* tensor[position] */
sn_tensor sn_index_at(sn_tensor tensor, int64_t position);
/* Index tensors by dimension, NULL for a whole dimension; masks (bool, uint8) cover as many as they have. */
sn_tensor sn_index(sn_tensor tensor, const sn_tensor *indices, int64_t count);

/* Functions with `in_place` change the tensor itself if it is not 0, and then return another handle on it. */

sn_tensor sn_index_put(sn_tensor tensor, const sn_tensor *indices, int64_t count, sn_tensor values,
                       int32_t accumulate, int32_t in_place);
sn_tensor sn_index_select(sn_tensor tensor, int64_t dim, sn_tensor index);
sn_tensor sn_index_add(sn_tensor tensor, int64_t dim, sn_tensor index, sn_tensor source, sn_scalar alpha,
                       int32_t in_place);
sn_tensor sn_index_copy(sn_tensor tensor, int64_t dim, sn_tensor index, sn_tensor source, int32_t in_place);
/* A value of NULL takes the scalar beside it, here and below. */
sn_tensor sn_index_fill(sn_tensor tensor, int64_t dim, sn_tensor index, sn_tensor value, sn_scalar number,
                        int32_t in_place);
sn_tensor sn_take(sn_tensor tensor, sn_tensor index);
sn_tensor sn_put(sn_tensor tensor, sn_tensor index, sn_tensor source, int32_t accumulate, int32_t in_place);
sn_tensor sn_gather(sn_tensor tensor, int64_t dim, sn_tensor index);
sn_tensor sn_take_along_dim(sn_tensor tensor, sn_tensor index, int32_t has_dim, int64_t dim);
sn_tensor sn_scatter(sn_tensor tensor, int64_t dim, sn_tensor index, sn_tensor source, sn_scalar number,
                     int32_t in_place);
sn_tensor sn_scatter_add(sn_tensor tensor, int64_t dim, sn_tensor index, sn_tensor source, int32_t in_place);
/* reduction: "sum", "prod", "mean", "amax" or "amin" */
sn_tensor sn_scatter_reduce(sn_tensor tensor, int64_t dim, sn_tensor index, sn_tensor source, const char *reduction,
                            int32_t include_self, int32_t in_place);
sn_tensor sn_masked_fill(sn_tensor tensor, sn_tensor mask, sn_tensor value, sn_scalar number, int32_t in_place);
sn_tensor sn_masked_select(sn_tensor tensor, sn_tensor mask);
sn_tensor sn_masked_scatter(sn_tensor tensor, sn_tensor mask, sn_tensor source, int32_t in_place);
/* One row per nonzero element; the list has one tensor per dimension. */
sn_tensor sn_nonzero(sn_tensor tensor);
sn_list sn_nonzero_indices(sn_tensor tensor);

/* ---- sorting and searching --------------------------------------------------------------------------------- */

/* Lists of values and indices. */
sn_list sn_sort(sn_tensor tensor, int64_t dim, int32_t descending);
sn_list sn_topk(sn_tensor tensor, int64_t k, int64_t dim, int32_t largest);
sn_list sn_kthvalue(sn_tensor tensor, int64_t k, int64_t dim, int32_t keepdim);
sn_list sn_median(sn_tensor tensor, int64_t dim, int32_t keepdim, int32_t ignore_nan);
sn_list sn_mode(sn_tensor tensor, int64_t dim, int32_t keepdim);
sn_tensor sn_argsort(sn_tensor tensor, int64_t dim, int32_t descending);
/* The median of all elements. */
sn_tensor sn_median_all(sn_tensor tensor, int32_t ignore_nan);
/* interpolation: "linear", "lower", "higher", "midpoint" or "nearest" */
sn_tensor sn_quantile(sn_tensor tensor, sn_tensor q, int32_t has_dim, int64_t dim, int32_t keepdim,
                      const char *interpolation, int32_t ignore_nan);
/* sorter may be NULL */
sn_tensor sn_searchsorted(sn_tensor sorted, sn_tensor values, int32_t right, sn_tensor sorter);
sn_tensor sn_isin(sn_tensor tensor, sn_tensor test, int32_t invert);
/* weights may be NULL */
sn_tensor sn_bincount(sn_tensor tensor, sn_tensor weights, int64_t min_length);
sn_tensor sn_histc(sn_tensor tensor, int64_t bins, double low, double high);
/* classes -1: as many as the largest element asks for */
sn_tensor sn_one_hot(sn_tensor tensor, int64_t classes);
/* Lists of values, inverse and counts. consecutive: only neighbours count as equal, nothing is sorted */
sn_list sn_unique(sn_tensor tensor, int32_t has_dim, int64_t dim, int32_t consecutive);

/* ---- rearranging ------------------------------------------------------------------------------------------- */

sn_tensor sn_tril(sn_tensor tensor, int64_t diagonal, int32_t in_place);
sn_tensor sn_triu(sn_tensor tensor, int64_t diagonal, int32_t in_place);
sn_tensor sn_triangle_indices(int64_t rows, int64_t columns, int64_t offset, int32_t lower, int32_t dtype);
sn_tensor sn_diag(sn_tensor tensor, int64_t diagonal);
sn_tensor sn_diag_embed(sn_tensor tensor, int64_t offset, int64_t dim1, int64_t dim2);
sn_tensor sn_trace(sn_tensor tensor);
sn_tensor sn_block_diag(const sn_tensor *tensors, int64_t count);
sn_list sn_meshgrid(const sn_tensor *tensors, int64_t count, int32_t transposed);
sn_tensor sn_cartesian_prod(const sn_tensor *tensors, int64_t count);
sn_tensor sn_combinations(sn_tensor tensor, int64_t r, int32_t with_replacement);
sn_list sn_broadcast_tensors(const sn_tensor *tensors, int64_t count);
sn_tensor sn_flip(sn_tensor tensor, const int64_t *dims, int64_t count);
sn_tensor sn_roll(sn_tensor tensor, const int64_t *shifts, int64_t shift_count, const int64_t *dims, int64_t count);
sn_tensor sn_rot90(sn_tensor tensor, int64_t k, const int64_t *dims, int64_t count);
sn_tensor sn_repeat(sn_tensor tensor, const int64_t *sizes, int64_t count);
sn_tensor sn_tile(sn_tensor tensor, const int64_t *sizes, int64_t count);
/* output_size -1: whatever it is */
sn_tensor sn_repeat_interleave(sn_tensor tensor, sn_tensor repeats, int32_t has_dim, int64_t dim,
                               int64_t output_size);
sn_tensor sn_movedim(sn_tensor tensor, const int64_t *source, int64_t source_count, const int64_t *destination,
                     int64_t destination_count);
sn_tensor sn_unflatten(sn_tensor tensor, int64_t dim, const int64_t *sizes, int64_t count);
/* A view with at least 1, 2 or 3 dimensions. */
sn_tensor sn_at_least(sn_tensor tensor, int64_t rank);
sn_list sn_split(sn_tensor tensor, int64_t size, int64_t dim);
sn_list sn_split_sizes(sn_tensor tensor, const int64_t *sizes, int64_t count, int64_t dim);
sn_list sn_chunk(sn_tensor tensor, int64_t chunks, int64_t dim);
sn_list sn_tensor_split(sn_tensor tensor, int64_t sections, int64_t dim);
sn_list sn_tensor_split_indices(sn_tensor tensor, const int64_t *indices, int64_t count, int64_t dim);
sn_list sn_unbind(sn_tensor tensor, int64_t dim);
sn_tensor sn_stack(const sn_tensor *tensors, int64_t count, int64_t dim);
/* axis: 0 vstack, 1 hstack, 2 dstack, 3 column_stack */
sn_tensor sn_stack_along(const sn_tensor *tensors, int64_t count, int32_t axis);
sn_tensor sn_select_scatter(sn_tensor tensor, sn_tensor source, int64_t dim, int64_t index);
sn_tensor sn_slice_scatter(sn_tensor tensor, sn_tensor source, int64_t dim, int32_t has_start, int64_t start,
                           int32_t has_end, int64_t end, int64_t step);
sn_tensor sn_diagonal_scatter(sn_tensor tensor, sn_tensor source, int64_t offset, int64_t dim1, int64_t dim2);
/* mode: "constant", "reflect", "replicate" or "circular"; amounts from the last dimension on */
sn_tensor sn_pad(sn_tensor tensor, const int64_t *padding, int64_t count, const char *mode, sn_scalar value);

/* ---- comparing ---------------------------------------------------------------------------------------------- */

/* 1, 0, or -1 on failure */
int32_t sn_equal(sn_tensor a, sn_tensor b);
int32_t sn_allclose(sn_tensor a, sn_tensor b, double rtol, double atol, int32_t equal_nan);
sn_tensor sn_isclose(sn_tensor a, sn_tensor b, double rtol, double atol, int32_t equal_nan);
/* ---- functions of neural networks -------------------------------------------------------------------------- */

/* Biases and weights that may be absent are NULL then. Lists of spatial sizes hold one number per dimension, or one for
 * all. */
/* Makes `result`, computed from `target`, the value of `target`, as an operation in place. */
int32_t sn_become_(sn_tensor target, sn_tensor result);
sn_tensor sn_linear(sn_tensor x, sn_tensor weight, sn_tensor bias);
sn_tensor sn_bilinear(sn_tensor x, sn_tensor y, sn_tensor weight, sn_tensor bias);
sn_tensor sn_prelu(sn_tensor x, sn_tensor weight);
sn_tensor sn_glu(sn_tensor x, int64_t dim);
sn_tensor sn_rrelu(sn_tensor x, double lower, double upper, int32_t training);
/* dtype -1: the input's. is_log: the logarithm of the softmax */
sn_tensor sn_softmax(sn_tensor x, int64_t dim, int32_t dtype, int32_t is_log);
sn_tensor sn_gumbel_softmax(sn_tensor x, double tau, int32_t hard, int64_t dim);
/* alpha: alpha dropout; features: whole channels */
sn_tensor sn_dropout(sn_tensor x, double p, int32_t training, int32_t alpha, int32_t features);
/* padding_count -1: as much as keeps the size */
sn_tensor sn_convolution(sn_tensor x, sn_tensor weight, sn_tensor bias, const int64_t *stride, int64_t stride_count,
                         const int64_t *padding, int64_t padding_count, const int64_t *dilation,
                         int64_t dilation_count, int64_t groups);
sn_tensor sn_transposed_convolution(sn_tensor x, sn_tensor weight, sn_tensor bias, const int64_t *stride,
                                    int64_t stride_count, const int64_t *padding, int64_t padding_count,
                                    const int64_t *output_padding, int64_t output_padding_count,
                                    const int64_t *dilation, int64_t dilation_count, int64_t groups);

/* ---- measurement ------------------------------------------------------------------------------------------- */

/* Floating-point operations per second that all threads reach with multiply-adds in registers: what no float32 kernel
 * can exceed. Takes about a tenth of a second. */
double sn_measure_peak(void);
/* Puts a result, computed from `target` or not, in its place: values and history. */
int32_t sn_assign(sn_tensor target, sn_tensor result);

/* ---- limits and special functions -------------------------------------------------------------------------- */

/* A tensor or, where it is NULL, a number; kind -1: absent. */
sn_tensor sn_clamp(sn_tensor x, sn_tensor low, sn_scalar low_value, sn_tensor high, sn_scalar high_value);
int32_t sn_clamp_(sn_tensor x, sn_tensor low, sn_scalar low_value, sn_tensor high, sn_scalar high_value);
/* From x to `end` by the fraction `weight` (or weight_value where it is NULL). */
sn_tensor sn_lerp(sn_tensor x, sn_tensor end, sn_tensor weight, double weight_value);
/* x + value * a * b, x + value * a / b */
sn_tensor sn_addcmul(sn_tensor x, sn_tensor a, sn_tensor b, sn_scalar value);
sn_tensor sn_addcdiv(sn_tensor x, sn_tensor a, sn_tensor b, sn_scalar value);
sn_tensor sn_polygamma(int64_t n, sn_tensor x);
sn_tensor sn_mvlgamma(sn_tensor x, int64_t p);
/* "entr", "i0", "i1", "erfcx", "log_ndtr", "deg2rad", "rad2deg" */
sn_tensor sn_special(const char *name, sn_tensor x);
/* In double precision; a NULL operand takes the number beside it. */
sn_tensor sn_float_power(sn_tensor a, sn_scalar a_value, sn_tensor b, sn_scalar b_value);

/* The dtype that two dtypes, or the operands, promote to. */
int32_t sn_promote_types(int32_t a, int32_t b);
int32_t sn_can_cast(int32_t from, int32_t to);
int32_t sn_result_type(sn_tensor a, sn_scalar a_value, sn_tensor b, sn_scalar b_value);

/* ---- running and extreme elements -------------------------------------------------------------------------- */

/* op: "sum", "prod", "logsumexp" */
sn_tensor sn_cumulate(const char *op, sn_tensor x, int64_t dim, int32_t dtype);
/* Values and indices, written to results[0] and results[1]. */
int32_t sn_cumulative_extremum(sn_tensor x, int64_t dim, int32_t largest, sn_tensor *results);
int32_t sn_extremum_dim(sn_tensor x, int64_t dim, int32_t keepdim, int32_t largest, sn_tensor *results);
sn_tensor sn_extremum(sn_tensor x, int32_t largest);
/* has_dim 0: of all elements */
sn_tensor sn_arg_extremum(sn_tensor x, int32_t has_dim, int64_t dim, int32_t keepdim, int32_t largest);
int32_t sn_aminmax(sn_tensor x, int32_t has_dim, int64_t dim, int32_t keepdim, sn_tensor *results);
sn_tensor sn_diff(sn_tensor x, int64_t n, int64_t dim, sn_tensor prepend, sn_tensor append);
/* x: positions or NULL for the constant step dx */
sn_tensor sn_trapezoid(sn_tensor y, sn_tensor x, double dx, int64_t dim, int32_t cumulative);

/* ---- norms and further reductions -------------------------------------------------------------------------- */

sn_tensor sn_vector_norm(sn_tensor x, double p, const int64_t *dims, int64_t count, int32_t keepdim, int32_t dtype);
/* frobenius: `order` does not matter */
sn_tensor sn_matrix_norm(sn_tensor x, int32_t frobenius, double order, const int64_t *dims, int64_t count,
                         int32_t keepdim);
sn_tensor sn_logsumexp(sn_tensor x, const int64_t *dims, int64_t count, int32_t keepdim);
sn_tensor sn_nansum(sn_tensor x, const int64_t *dims, int64_t count, int32_t keepdim, int32_t dtype);
sn_tensor sn_nanmean(sn_tensor x, const int64_t *dims, int64_t count, int32_t keepdim, int32_t dtype);
sn_tensor sn_count_nonzero(sn_tensor x, const int64_t *dims, int64_t count);
sn_tensor sn_dist(sn_tensor a, sn_tensor b, double p);
/* products: 1 for Euclidean distances from a matrix product, 0 without, -1 as there are rows */
sn_tensor sn_cdist(sn_tensor a, sn_tensor b, double p, int32_t products);
sn_tensor sn_pairwise_distance(sn_tensor a, sn_tensor b, double p, double eps, int32_t keepdim);
sn_tensor sn_cosine_similarity(sn_tensor a, sn_tensor b, int64_t dim, double eps);
sn_tensor sn_renorm(sn_tensor x, double p, int64_t dim, double limit);
sn_tensor sn_cross(sn_tensor a, sn_tensor b, int32_t has_dim, int64_t dim);

/* ---- products of matrices and vectors ---------------------------------------------------------------------- */

sn_tensor sn_mv(sn_tensor matrix, sn_tensor vector);
sn_tensor sn_dot(sn_tensor a, sn_tensor b);
sn_tensor sn_inner(sn_tensor a, sn_tensor b);
sn_tensor sn_outer(sn_tensor a, sn_tensor b);
/* beta * x + alpha * product of a and b. op: "addmm", "addmv", "addbmm", "baddbmm", "addr" */
sn_tensor sn_add_product(const char *op, sn_tensor x, sn_tensor a, sn_tensor b, sn_scalar beta, sn_scalar alpha);
sn_tensor sn_multi_dot(const sn_tensor *tensors, int64_t count);
sn_tensor sn_tensordot(sn_tensor a, sn_tensor b, const int64_t *dims_a, int64_t count_a, const int64_t *dims_b,
                       int64_t count_b);
sn_tensor sn_einsum(const char *equation, const sn_tensor *tensors, int64_t count);
sn_tensor sn_kron(sn_tensor a, sn_tensor b);
sn_tensor sn_matrix_power(sn_tensor x, int64_t n);
sn_tensor sn_inverse(sn_tensor x);
sn_tensor sn_solve(sn_tensor a, sn_tensor b);
sn_tensor sn_det(sn_tensor x);
int32_t sn_slogdet(sn_tensor x, sn_tensor *results);
sn_tensor sn_cholesky(sn_tensor x, int32_t upper);
/* Q and R; mode "reduced", "complete" or "r". Eigenvalues and eigenvectors of symmetric matrices. U, S and V transposed.
 * L and U in one matrix, and pivots; the matrix P that pivots stand for. */
sn_list sn_linalg_qr(sn_tensor x, const char *mode);
sn_list sn_linalg_eigh(sn_tensor x, int32_t upper);
sn_list sn_linalg_svd(sn_tensor x, int32_t full);
sn_list sn_linalg_lu_factor(sn_tensor x);
sn_tensor sn_linalg_permutation(sn_tensor pivots, int64_t rows, int32_t dtype);
/* Singular values up to max(absolute, relative times the largest) count as zero; NaN: PyTorch's default. */
sn_tensor sn_linalg_pinv(sn_tensor x, double absolute, double relative);
sn_tensor sn_linalg_matrix_rank(sn_tensor x, double absolute, double relative);

/* ---- random numbers ---------------------------------------------------------------------------------------- */

/* A source of random numbers; NULL stands for the default one. */
typedef struct sn_generator_s *sn_generator;
sn_generator sn_generator_new(void);
void sn_generator_release(sn_generator generator);
int32_t sn_manual_seed(sn_generator generator, uint64_t seed);
/* Seeds from the system's randomness and returns the seed. */
uint64_t sn_seed(sn_generator generator);
uint64_t sn_initial_seed(sn_generator generator);
int64_t sn_rng_state_size(void);
int32_t sn_get_rng_state(sn_generator generator, void *state);
int32_t sn_set_rng_state(sn_generator generator, const void *state, int64_t bytes);

/* Fills in place. distribution: "uniform" (from, to), "normal" (mean, std), "exponential" (lambda), "log_normal"
 * (mean, std), "cauchy" (median, sigma), "geometric" (p), "bernoulli" (p). */
int32_t sn_random_(sn_tensor x, const char *distribution, double p, double q, sn_generator generator);
/* Integers in [from, to); bounds 0: all that the dtype holds, 1: from `from` on, 2: both. */
int32_t sn_random_integers_(sn_tensor x, int32_t bounds, int64_t from, int64_t to, sn_generator generator);
int32_t sn_bernoulli_(sn_tensor x, sn_tensor probabilities, sn_generator generator);
sn_tensor sn_randperm(int64_t n, int32_t dtype, sn_generator generator);
sn_tensor sn_multinomial(sn_tensor weights, int64_t samples, int32_t replacement, sn_generator generator);
sn_tensor sn_poisson(sn_tensor rates, sn_generator generator);
/* A tensor like another, with undefined contents in the same memory order. dtype -1: the same */
sn_tensor sn_empty_like(sn_tensor tensor, int32_t dtype);

/* ---- more of automatic differentiation --------------------------------------------------------------------- */

int32_t sn_is_inference(sn_tensor tensor);
int32_t sn_retains_grad(sn_tensor tensor);
int32_t sn_is_anomaly_enabled(void);
int32_t sn_set_anomaly_enabled(int32_t enabled);
/* Called each time backward has added to a leaf's gradient; nonzero reports failure. Returns an identity for
 * sn_remove_hook, or -1. */
typedef int32_t (*sn_accumulate_hook)(void *context);
int64_t sn_register_accumulate_hook(sn_tensor tensor, sn_accumulate_hook hook, void *context, void (*release)(void *));

/* A function of tensors: writes at most `capacity` new handles to `outputs` and their number to `output_count`. */
typedef int32_t (*sn_function)(void *context, const sn_tensor *inputs, int64_t count, sn_tensor *outputs,
                               int64_t capacity, int64_t *output_count);
/* Compares the gradients of a function with finite differences. 1: they agree; 0: they do not, and sn_last_error
 * tells where; -1: the check itself failed. */
int32_t sn_gradcheck(sn_function function, void *context, const sn_tensor *inputs, int64_t count, double eps,
                     double atol, double rtol, double nondeterminism);
/* The same for second derivatives; grad_count -1: random gradients of the outputs. */
int32_t sn_gradgradcheck(sn_function function, void *context, const sn_tensor *inputs, int64_t count,
                         const sn_tensor *grad_outputs, int64_t grad_count, double eps, double atol, double rtol,
                         double nondeterminism);

/* ---- exchange by DLPack ------------------------------------------------------------------------------------ */

/* https://dmlc.github.io/dlpack/latest/c_api.html */
typedef struct {
  int32_t device_type;
  int32_t device_id;
} sn_dl_device;
typedef struct {
  uint8_t code;
  uint8_t bits;
  uint16_t lanes;
} sn_dl_dtype;
typedef struct {
  void *data;
  sn_dl_device device;
  int32_t ndim;
  sn_dl_dtype dtype;
  int64_t *shape;
  int64_t *strides;
  uint64_t byte_offset;
} sn_dl_tensor;
typedef struct sn_dl_managed_s {
  sn_dl_tensor tensor;
  void *context;
  void (*deleter)(struct sn_dl_managed_s *self);
} sn_dl_managed;
typedef struct sn_dl_versioned_s {
  uint32_t major;
  uint32_t minor;
  void *context;
  void (*deleter)(struct sn_dl_versioned_s *self);
  uint64_t flags;
  sn_dl_tensor tensor;
} sn_dl_versioned;

/* A tensor for others; whoever receives it calls its deleter. */
sn_dl_managed *sn_to_dlpack(sn_tensor tensor);
sn_dl_versioned *sn_to_dlpack_versioned(sn_tensor tensor);
/* Somebody else's tensor, whose deleter is called with the last use of its memory. */
sn_tensor sn_from_dlpack(sn_dl_managed *managed);
sn_tensor sn_from_dlpack_versioned(sn_dl_versioned *managed);
/* ---- values ------------------------------------------------------------------------------------------------- */

typedef enum {
  SN_NONE = 0,
  SN_TENSOR = 1,
  SN_BOOL = 2,
  SN_INT = 3,
  SN_DOUBLE = 4,
  SN_STRING = 5,
  SN_INTS = 6,
  SN_DOUBLES = 7,
  SN_LIST = 8,
  SN_TUPLE = 9,
  /* something of the caller's language that is only handed on */
  SN_OBJECT = 10
} sn_value_kind;

/* A setting, or what goes into a module and comes out of it. As an argument it and all that it points to stay the
 * caller's, except that an object's release(object) is called when the library no longer needs it. A value that the
 * library writes is given back with sn_value_clear. */
typedef struct sn_value_s {
  int32_t kind;
  int64_t integer; /* SN_INT, SN_BOOL */
  double number;   /* SN_DOUBLE */
  sn_tensor tensor;
  const char *text;
  int64_t count; /* of integers, numbers or items */
  const int64_t *integers;
  const double *numbers;
  const struct sn_value_s *items;
  void *object;
  void (*release)(void *);
  void *owner; /* of an object that the library wrote; otherwise NULL */
} sn_value;

void sn_value_clear(sn_value *value);

/* ---- modules ------------------------------------------------------------------------------------------------ */

/* Layers, losses, models: parameters, buffers, children and settings under names. The handle of a module is always
 * the same pointer, so that two handles can be compared. */
typedef struct sn_module_s *sn_module;

/* A module by its type ("Conv2d") and its settings, as in PyTorch's constructor; dtype -1: the default dtype. Without
 * `build` it has its settings only, no parameters, buffers or children. */
sn_module sn_module_create(const char *type, const char *const *names, const sn_value *values, int64_t count,
                           int32_t dtype, int32_t build);
/* A module whose forward is a callback, see sn_module_set_override. */
sn_module sn_module_foreign(const char *type);
sn_module sn_module_retain(sn_module module);
void sn_module_release(sn_module module);
/* The text lives until the next function that gives a name, on this thread. */
const char *sn_module_type(sn_module module);
/* The module's own computation, without override. For modules that map one or two tensors to one. */
sn_tensor sn_module_forward(sn_module module, sn_tensor input);
sn_tensor sn_module_forward2(sn_module module, sn_tensor input, sn_tensor other);
/* The same for any values. */
int32_t sn_module_forward_values(sn_module module, const sn_value *inputs, int64_t count, sn_value *result);
/* As a container runs the module: through the override, if there is one. */
int32_t sn_module_call(sn_module module, const sn_value *inputs, int64_t count, sn_value *result);
/* Draws the parameters anew. */
int32_t sn_module_reset_parameters(sn_module module);
int32_t sn_module_training(sn_module module);
/* This module only, not its children. */
int32_t sn_module_set_training(sn_module module, int32_t training);

/* Runs instead of the module's own forward wherever another module calls it. The value that it writes to `result` has
 * new handles for its tensors, which the library takes over; the arrays and texts in it stay the callback's and have to
 * live until it is called again. */
typedef int32_t (*sn_forward_function)(void *context, const sn_value *inputs, int64_t count, sn_value *result);
/* function NULL takes the override away. release(context) is called when it is gone. */
int32_t sn_module_set_override(sn_module module, sn_forward_function function, void *context,
                               void (*release)(void *));

int64_t sn_module_setting_count(sn_module module);
const char *sn_module_setting_name(sn_module module, int64_t index);
int32_t sn_module_setting(sn_module module, const char *name, sn_value *value);
int32_t sn_module_set_setting(sn_module module, const char *name, const sn_value *value);

/* Members. kind: 0 parameters, 1 buffers, 2 children. */
int64_t sn_module_member_count(sn_module module, int32_t kind);
const char *sn_module_member_name(sn_module module, int32_t kind, int64_t index);
int32_t sn_module_remove_member(sn_module module, int32_t kind, const char *name);
/* A parameter or buffer, or a child; NULL with status SN_OK for a name without a value. */
sn_tensor sn_module_tensor(sn_module module, int32_t kind, const char *name);
sn_module sn_module_child(sn_module module, const char *name);
/* NULL registers the name without a value. */
int32_t sn_module_set_tensor(sn_module module, int32_t kind, const char *name, sn_tensor tensor,
                             int32_t persistent);
int32_t sn_module_set_child(sn_module module, const char *name, sn_module child);
int32_t sn_module_buffer_is_persistent(sn_module module, const char *name);

/* Initial values in place, by PyTorch's names without the underscore ("kaiming_uniform"). numbers: the function's
 * number arguments in order; mode: "fan_in" or "fan_out" and nonlinearity where the function has them, or NULL;
 * generator NULL: the default one. */
int32_t sn_initialize(const char *name, sn_tensor tensor, const double *numbers, int64_t count, const char *mode,
                      const char *nonlinearity, sn_generator generator);
int32_t sn_calculate_gain(const char *nonlinearity, double slope, double *gain);
/* Pooling over 1 to 3 spatial dimensions. No strides: the kernel's size. `indices`, if not NULL, receives the places of
 * the largest elements (int64). */
sn_tensor sn_max_pool(sn_tensor x, int32_t dimensions, const int64_t *kernel, int64_t kernel_count,
                      const int64_t *stride, int64_t stride_count, const int64_t *padding, int64_t padding_count,
                      const int64_t *dilation, int64_t dilation_count, int32_t ceil_mode, sn_tensor *indices);
/* Sizes of -1 keep the input's. */
sn_tensor sn_adaptive_max_pool(sn_tensor x, const int64_t *size, int64_t count, sn_tensor *indices);
sn_tensor sn_max_unpool(sn_tensor x, sn_tensor indices, const int64_t *size, int64_t count);
sn_tensor sn_avg_pool(sn_tensor x, int32_t dimensions, const int64_t *kernel, int64_t kernel_count,
                      const int64_t *stride, int64_t stride_count, const int64_t *padding, int64_t padding_count,
                      int32_t ceil_mode, int32_t count_includes_padding, int32_t has_divisor, int64_t divisor);
sn_tensor sn_adaptive_avg_pool(sn_tensor x, const int64_t *size, int64_t count);
sn_tensor sn_lp_pool(sn_tensor x, int32_t dimensions, double p, const int64_t *kernel, int64_t kernel_count,
                     const int64_t *stride, int64_t stride_count, int32_t ceil_mode);

/* Running statistics, weight and bias may be NULL. In training the running statistics are updated. */
sn_tensor sn_batch_norm(sn_tensor x, sn_tensor mean, sn_tensor variance, sn_tensor weight, sn_tensor bias,
                        int32_t training, double momentum, double eps);
sn_tensor sn_instance_norm(sn_tensor x, sn_tensor mean, sn_tensor variance, sn_tensor weight, sn_tensor bias,
                           int32_t use_input, double momentum, double eps);
sn_tensor sn_layer_norm(sn_tensor x, const int64_t *shape, int64_t count, sn_tensor weight, sn_tensor bias, double eps);
sn_tensor sn_group_norm(sn_tensor x, int64_t groups, sn_tensor weight, sn_tensor bias, double eps);
sn_tensor sn_rms_norm(sn_tensor x, const int64_t *shape, int64_t count, sn_tensor weight, int32_t has_eps, double eps);
sn_tensor sn_local_response_norm(sn_tensor x, int64_t size, double alpha, double beta, double k);
sn_tensor sn_normalize(sn_tensor x, double p, const int64_t *dims, int64_t count, double eps);
sn_tensor sn_pdist(sn_tensor x, double p);

/* ---- optimizers --------------------------------------------------------------------------------------------- */

typedef struct sn_optimizer_s *sn_optimizer;

/* By the name of PyTorch's class, "SGD", "Adam", …, and "Lion", "LAMB". It has no groups yet. */
sn_optimizer sn_optimizer_create(const char *type);
void sn_optimizer_release(sn_optimizer optimizer);
/* Gives a group its parameters; `group` may be the number of groups, then one is added with the default options. */
int32_t sn_optimizer_set_group(sn_optimizer optimizer, int64_t group, const sn_tensor *parameters, int64_t count);
/* Takes away the groups from `count` on. */
int32_t sn_optimizer_keep_groups(sn_optimizer optimizer, int64_t count);
/* Options by PyTorch's names as numbers: flags are 0 or 1, betas are "beta1" and "beta2". */
int32_t sn_optimizer_set_option(sn_optimizer optimizer, int64_t group, const char *name, double value);
int32_t sn_optimizer_option(sn_optimizer optimizer, int64_t group, const char *name, double *value);
/* Whether the group's options make sense. */
int32_t sn_optimizer_check(sn_optimizer optimizer, int64_t group);
/* Changes every parameter that has a gradient, all in one call. */
int32_t sn_optimizer_step(sn_optimizer optimizer);
/* Computes loss and gradients anew; nonzero reports failure. */
typedef int32_t (*sn_closure)(void *context, double *loss);
/* A step of an optimizer that evaluates the loss as often as it needs ("LBFGS"); others do so once. */
int32_t sn_optimizer_step_closure(sn_optimizer optimizer, sn_closure closure, void *context);
/* Makes the state that is there before the first step. */
int32_t sn_optimizer_prepare(sn_optimizer optimizer);

/* What is remembered of a parameter. Steps taken, -1 if there is no state; tensors by PyTorch's names ("exp_avg"), NULL
 * with status SN_OK where there is none. */
double sn_optimizer_steps(sn_optimizer optimizer, sn_tensor parameter);
int32_t sn_optimizer_set_steps(sn_optimizer optimizer, sn_tensor parameter, double steps);
sn_tensor sn_optimizer_state(sn_optimizer optimizer, sn_tensor parameter, const char *name);
int32_t sn_optimizer_set_state(sn_optimizer optimizer, sn_tensor parameter, const char *name, sn_tensor value);
/* Numbers other than the steps ("mu_product", "eta"): 1 if there is one, 0 if not, -1 on failure. */
int32_t sn_optimizer_number(sn_optimizer optimizer, sn_tensor parameter, const char *name, double *value);
int32_t sn_optimizer_set_number(sn_optimizer optimizer, sn_tensor parameter, const char *name, int32_t present,
                                double value);
/* parameter NULL: of all. */
int32_t sn_optimizer_clear_state(sn_optimizer optimizer, sn_tensor parameter);
/* Multiplies gradients by a factor, in place: 1 if one of them was not finite, 0 if all were, -1 on failure. */
int32_t sn_unscale(const sn_tensor *gradients, int64_t count, double factor);
/* Losses. reduction: 0 none, 1 mean, 2 sum, 3 sum over the batch size. Weights may be NULL. */
sn_tensor sn_cross_entropy(sn_tensor x, sn_tensor target, sn_tensor weight, int64_t ignore_index, int32_t reduction,
                           double smoothing);
sn_tensor sn_nll_loss(sn_tensor x, sn_tensor target, sn_tensor weight, int64_t ignore_index, int32_t reduction);
typedef enum {
  SN_MSE = 0,
  SN_L1 = 1,
  /* p: beta */
  SN_SMOOTH_L1 = 2,
  /* p: delta */
  SN_HUBER = 3,
  SN_BCE = 4,
  /* p: 1 for a logarithmic target */
  SN_KL_DIVERGENCE = 5,
  /* p: margin */
  SN_HINGE_EMBEDDING = 6,
  SN_SOFT_MARGIN = 7,
  SN_MULTILABEL_MARGIN = 8,
  SN_MULTILABEL_SOFT_MARGIN = 9
} sn_loss;
/* A loss of two tensors with one parameter at most; the weight is used by SN_MSE, SN_L1, SN_HUBER, SN_BCE and
 * SN_MULTILABEL_SOFT_MARGIN. */
sn_tensor sn_pointwise_loss(sn_loss kind, sn_tensor x, sn_tensor y, sn_tensor weight, double p, int32_t reduction);
sn_tensor sn_bce_with_logits(sn_tensor x, sn_tensor y, sn_tensor weight, sn_tensor positive_weight,
                             int32_t reduction);
sn_tensor sn_poisson_nll_loss(sn_tensor x, sn_tensor y, int32_t log_input, int32_t full, double eps,
                              int32_t reduction);
sn_tensor sn_gaussian_nll_loss(sn_tensor x, sn_tensor y, sn_tensor variance, int32_t full, double eps,
                               int32_t reduction);
sn_tensor sn_margin_ranking_loss(sn_tensor x, sn_tensor y, sn_tensor target, double margin, int32_t reduction);
sn_tensor sn_cosine_embedding_loss(sn_tensor x, sn_tensor y, sn_tensor target, double margin, int32_t reduction);
sn_tensor sn_multi_margin_loss(sn_tensor x, sn_tensor target, int64_t p, double margin, sn_tensor weight,
                               int32_t reduction);
sn_tensor sn_triplet_margin_loss(sn_tensor anchor, sn_tensor positive, sn_tensor negative, double margin, double p,
                                 double eps, int32_t swap, int32_t reduction);
/* The same from distances; `other` (positive to negative) may be NULL. */
sn_tensor sn_triplet_loss(sn_tensor near, sn_tensor far, sn_tensor other, double margin, int32_t reduction);

/* Scales the gradients of parameters so that their p-norm is at most max_norm; gives the norm before. */
sn_tensor sn_clip_grad_norm(const sn_tensor *parameters, int64_t count, double max_norm, double p,
                            int32_t error_if_not_finite);
int32_t sn_clip_grad_value(const sn_tensor *parameters, int64_t count, double limit);
/* The p-norm of all tensors as one vector, and the scaling for a known norm. */
sn_tensor sn_total_norm(const sn_tensor *tensors, int64_t count, double p);
int32_t sn_scale_gradients(const sn_tensor *parameters, int64_t count, double max_norm, sn_tensor total);
/* The learning rate of an epoch from the one before. Schedules and their numbers: "step" (size, gamma), "constant"
 * (factor, total), "linear" (start, end, total), "exponential" (gamma), "polynomial" (total, power), "cosine" (total,
 * least), "cosine_fraction" (least; the epoch is a fraction of the half period), "line_fraction" (end; likewise),
 * "cyclic" (greatest, steps up, steps down, mode, gamma), "poly" (total, power, least), "anneal" (target, total, 1 for
 * a cosine). fresh: the schedule starts at this epoch. */
int32_t sn_schedule_rate(const char *name, const double *numbers, int64_t count, double epoch, double current,
                         double base, int32_t fresh, double *rate);
/* mode: 0 nearest, 1 nearest-exact, 2 linear, 3 cubic, 4 area. scales: one per dimension, or NULL for the ratio of the
 * sizes. */
sn_tensor sn_interpolate(sn_tensor x, const int64_t *size, int64_t count, const double *scales, int32_t mode,
                         int32_t align_corners, int32_t antialias);
sn_tensor sn_pixel_shuffle(sn_tensor x, int64_t factor);
sn_tensor sn_pixel_unshuffle(sn_tensor x, int64_t factor);
sn_tensor sn_channel_shuffle(sn_tensor x, int64_t groups);
/* padding -1: none. max_norm below 0: none. */
sn_tensor sn_embedding(sn_tensor weight, sn_tensor indices, int64_t padding, double max_norm, double norm_type,
                       int32_t scale_by_frequency);
/* mask may be NULL. shares_heads: query heads share key and value heads. */
sn_tensor sn_attention(sn_tensor query, sn_tensor key, sn_tensor value, sn_tensor mask, double dropout,
                       int32_t is_causal, int32_t has_scale, double scale, int32_t shares_heads);

/* Weight and bias (two new handles) of a layer with the batch normalisation after it folded in. bias, scale and shift
 * may be NULL. */
int32_t sn_fold_batch_norm(sn_tensor weight, sn_tensor bias, sn_tensor mean, sn_tensor variance, double eps,
                           sn_tensor scale, sn_tensor shift, int32_t is_transposed, sn_tensor *results);

/* ---- mixed precision ---------------------------------------------------------------------------------------- */

/* Whether operations of this thread convert their inputs, and to which half-precision dtype. */
int32_t sn_is_autocast_enabled(void);
void sn_set_autocast_enabled(int32_t enabled);
int32_t sn_autocast_dtype(void);
int32_t sn_set_autocast_dtype(int32_t dtype);
/* Whether weights are converted once between entering the first context and leaving the last. */
int32_t sn_is_autocast_cache_enabled(void);
void sn_set_autocast_cache_enabled(int32_t enabled);
/* Both return the number of contexts entered. */
int64_t sn_autocast_enter(void);
int64_t sn_autocast_leave(void);
void sn_clear_autocast_cache(void);
/* ---- patches, grids, bags, derived weights ------------------------------------------------------------------ */

/* Patches of images as columns, and back. One number or two in each list. */
sn_tensor sn_unfold_patches(sn_tensor x, const int64_t *kernel, int64_t kernel_count, const int64_t *dilation,
                            int64_t dilation_count, const int64_t *padding, int64_t padding_count,
                            const int64_t *stride, int64_t stride_count);
sn_tensor sn_fold_patches(sn_tensor x, const int64_t *size, int64_t size_count, const int64_t *kernel,
                          int64_t kernel_count, const int64_t *dilation, int64_t dilation_count,
                          const int64_t *padding, int64_t padding_count, const int64_t *stride,
                          int64_t stride_count);
/* mode: 0 bilinear, 1 nearest, 2 bicubic. padding: 0 zeros, 1 border, 2 reflection. */
sn_tensor sn_grid_sample(sn_tensor x, sn_tensor grid, int32_t mode, int32_t padding, int32_t align_corners);
sn_tensor sn_affine_grid(sn_tensor theta, const int64_t *size, int64_t count, int32_t align_corners);
/* Values and indices. samples NULL: drawn. */
sn_list sn_fractional_max_pool(sn_tensor x, const int64_t *kernel, int64_t kernel_count, const int64_t *size,
                               int64_t count, sn_tensor samples);
/* mode: 0 sum, 1 mean, 2 max. offsets and weights may be NULL; has_padding says whether `padding` counts; max_norm below
 * 0: none. */
sn_tensor sn_embedding_bag(sn_tensor table, sn_tensor indices, sn_tensor offsets, int32_t mode, sn_tensor weights,
                           int32_t has_padding, int64_t padding, double max_norm, double norm_type,
                           int32_t scale_by_frequency, int32_t includes_last);
sn_tensor sn_ctc_loss(sn_tensor logs, sn_tensor targets, const int64_t *input_lengths, int64_t input_count,
                      const int64_t *target_lengths, int64_t target_count, int64_t blank, int32_t reduction,
                      int32_t zero_infinity);
/* 2-norms over all dimensions but one; has_dim 0: over all. */
sn_tensor sn_norm_except(sn_tensor v, int32_t has_dim, int64_t dim);
sn_tensor sn_weight_norm(sn_tensor v, sn_tensor magnitude, int32_t has_dim, int64_t dim);
/* A dimension's positions by all others. */
sn_tensor sn_flattened_matrix(sn_tensor weight, int64_t dim);
/* Steps of the power method on a matrix; changes u and v. starts_with_v: v first, then u. */
int32_t sn_iterate_power(sn_tensor matrix, sn_tensor u, sn_tensor v, int64_t steps, double eps, int32_t starts_with_v);
sn_tensor sn_spectral_norm(sn_tensor weight, sn_tensor u, sn_tensor v, int64_t dim);
sn_tensor sn_matrix_exp(sn_tensor a);
sn_tensor sn_householder_product(sn_tensor a, sn_tensor tau);
/* The compact form of a QR factorisation: reflections below the diagonal, R above, and their factors. */
sn_list sn_geqrf(sn_tensor a);
/* Weights of positive and of negative labels from the labels' positive rates. */
sn_list sn_deepmar_weights(sn_tensor rates, double alpha);
sn_tensor sn_weighted_labels(sn_tensor target, sn_tensor positive, sn_tensor negative);

#ifdef __cplusplus
}
#endif
#endif

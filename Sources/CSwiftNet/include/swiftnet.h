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

sn_tensor sn_view(sn_tensor tensor, const int64_t *shape, int64_t rank);
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

/* A custom function. backward receives the gradients of the outputs (NULL where none came), and writes those of the
 * inputs as new handles or NULL. */
typedef int32_t (*sn_backward_function)(void *context, const sn_tensor *gradients, int64_t count, sn_tensor *results,
                                        int64_t result_count);
/* Makes `outputs` the results of a node with the given inputs. */
int32_t sn_record(const char *name, const sn_tensor *inputs, int64_t input_count, const sn_tensor *outputs,
                  int64_t output_count, sn_backward_function backward, void *context, void (*release)(void *));

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

#ifdef __cplusplus
}
#endif
#endif

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
sn_tensor sn_cosine_similarity(sn_tensor x, sn_tensor y, int64_t dim, double eps);
sn_tensor sn_pairwise_distance(sn_tensor x, sn_tensor y, double p, double eps, int32_t keepdim);
sn_tensor sn_pdist(sn_tensor x, double p);

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

#ifdef __cplusplus
}
#endif
#endif

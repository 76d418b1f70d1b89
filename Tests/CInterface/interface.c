/* A program that knows swiftnet.h alone: makes tensors, computes, differentiates, trains a line, provokes errors.
 * Prints "ok" and returns 0, or says which expectation failed. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "swiftnet.h"

#define EXPECT(condition)                                                                          \
  do {                                                                                             \
    if (!(condition)) {                                                                            \
      fprintf(stderr, "line %d: %s (last error: %s)\n", __LINE__, #condition, sn_last_error());    \
      return 1;                                                                                    \
    }                                                                                              \
  } while (0)

enum { FLOAT32 = 0, INT64 = 7 };

static const sn_scalar one = {1.0, 0, 0};

static double item(sn_tensor tensor) {
  sn_scalar value = {NAN, 0, 0};
  if (sn_item(tensor, &value) != SN_OK) return NAN;
  return value.kind == 0 ? value.d : (double)value.i;
}

/* a op b, and a given back: for chains of operations. */
static sn_tensor then(sn_tensor a, const char *op, sn_tensor b) {
  sn_tensor result = sn_binary(sn_elementwise_code(op), a, b);
  sn_release(a);
  return result;
}

static int tensors(void) {
  const float data[] = {1, 2, 3, 4, 5, 6};
  const int64_t shape[] = {2, 3};
  sn_tensor a = sn_from_data(data, shape, 2, FLOAT32);
  EXPECT(a && sn_rank(a) == 2 && sn_count(a) == 6 && sn_dtype(a) == FLOAT32);
  EXPECT(memcmp(sn_data(a), data, sizeof data) == 0);

  sn_tensor t = sn_transpose(a, 0, -1);
  int64_t sizes[2], strides[2];
  EXPECT(t && sn_shape(t, sizes, strides, 2) == SN_OK);
  EXPECT(sizes[0] == 3 && sizes[1] == 2 && strides[0] == 1 && strides[1] == 3);
  EXPECT(sn_data(t) == sn_data(a) && !sn_is_contiguous(t) && sn_storage_id(t) == sn_storage_id(a));

  sn_tensor product = sn_matmul(a, t);
  EXPECT(product && ((float *)sn_data(product))[0] == 14.0f);
  sn_tensor sum = sn_sum(product, NULL, 0, 0, -1);
  EXPECT(item(sum) == 14 + 32 + 32 + 77);

  /* A view outlives what it was made of. */
  sn_release(a);
  EXPECT(((float *)sn_data(t))[5] == 6.0f);
  sn_release(t);
  sn_release(product);
  sn_release(sum);
  sn_release(NULL);
  return 0;
}

static int released;
static void count_release(void *context) { released += *(int *)context; }

static int foreign_memory(void) {
  static float memory[4] = {1, 2, 3, 4};
  static int weight = 5;
  const int64_t shape[] = {4}, stride[] = {1}, two[] = {2}, far[] = {100};
  sn_tensor t = sn_from_memory(memory, sizeof memory, shape, stride, 1, 0, FLOAT32, count_release, &weight);
  EXPECT(t && sn_data(t) == memory);
  sn_tensor part = sn_as_strided(t, two, two, 1, 1);
  EXPECT(part && sn_fill_(part, one) == SN_OK && memory[1] == 1 && memory[3] == 1 && memory[2] == 3);
  EXPECT(sn_as_strided(t, two, far, 1, 0) == NULL);
  sn_release(t);
  EXPECT(released == 0);
  sn_release(part);
  EXPECT(released == 5);
  return 0;
}

static int errors(void) {
  const int64_t two[] = {2}, three[] = {3}, negative[] = {-1}, huge[] = {INT64_MAX, INT64_MAX};
  sn_tensor a = sn_full(two, 1, one, FLOAT32), b = sn_full(three, 1, one, FLOAT32);
  EXPECT(a && b);
  EXPECT(sn_binary(sn_elementwise_code("add"), a, b) == NULL);
  EXPECT(sn_last_status() == SN_RUNTIME_ERROR && strstr(sn_last_error(), "2") && strstr(sn_last_error(), "3"));
  EXPECT(sn_select(a, 1, 0) == NULL && sn_last_status() == SN_INDEX_ERROR);
  EXPECT(sn_select(a, 0, 2) == NULL && sn_last_status() == SN_INDEX_ERROR);
  EXPECT(sn_empty(negative, 1, FLOAT32) == NULL);
  EXPECT(sn_empty(huge, 2, FLOAT32) == NULL);
  EXPECT(sn_empty(huge, 1, FLOAT32) == NULL);
  EXPECT(sn_empty(two, 1, 99) == NULL && sn_last_status() == SN_TYPE_ERROR);
  EXPECT(sn_binary(-1, a, a) == NULL && sn_last_status() == SN_VALUE_ERROR);
  EXPECT(sn_matmul(a, NULL) == NULL && sn_last_status() == SN_TYPE_ERROR);
  EXPECT(sn_elementwise_code("no such operation") == -1);
  EXPECT(sn_set_num_threads(0) == SN_RUNTIME_ERROR);
  sn_scalar value;
  EXPECT(sn_item(a, &value) != SN_OK);
  sn_release(a);
  sn_release(b);
  return 0;
}

static sn_tensor twice(void *context, sn_tensor grad, int32_t *status) {
  (void)context;
  *status = SN_OK;
  return sn_binary_scalar(sn_elementwise_code("mul"), grad, 2.0, 0, 0, 0);
}

static int gradients(void) {
  sn_tensor x = sn_full(NULL, 0, (sn_scalar){3.0, 0, 0}, FLOAT32);
  EXPECT(x && sn_set_requires_grad(x, 1) == SN_OK && sn_is_leaf(x) == 1);
  EXPECT(sn_grad(x) == NULL);
  sn_tensor y = sn_binary(sn_elementwise_code("mul"), x, x);
  EXPECT(y && sn_requires_grad(y) == 1);
  sn_node node = sn_grad_fn(y);
  EXPECT(node && strcmp(sn_node_name(node), "MulBackward0") == 0 && sn_node_input_count(node) == 2);
  sn_node_release(node);
  EXPECT(sn_backward(&y, NULL, 1, 0, 0, NULL, 0) == SN_OK);
  sn_tensor grad = sn_grad(x);
  EXPECT(grad && item(grad) == 6);
  sn_release(grad);
  /* What was saved is gone. */
  EXPECT(sn_backward(&y, NULL, 1, 0, 0, NULL, 0) == SN_RUNTIME_ERROR);
  sn_release(y);

  static int weight = 7;
  released = 0;
  int64_t hook = sn_register_hook(x, twice, &weight, count_release);
  EXPECT(hook >= 0 && sn_set_grad(x, NULL) == SN_OK);
  y = sn_binary(sn_elementwise_code("mul"), x, x);
  EXPECT(sn_backward(&y, NULL, 1, 0, 0, NULL, 0) == SN_OK);
  grad = sn_grad(x);
  EXPECT(grad && item(grad) == 12);
  EXPECT(sn_remove_hook(x, hook) == SN_OK);
  sn_release(grad);
  sn_release(y);
  sn_release(x);
  EXPECT(released == 7);
  return 0;
}

/* Fits y = 2 x + 1 by gradient descent. */
static int training(void) {
  const int64_t shape[] = {64};
  float inputs[64], targets[64];
  for (int i = 0; i < 64; i++) {
    inputs[i] = (float)i / 32 - 1;
    targets[i] = 2 * inputs[i] + 1;
  }
  sn_tensor x = sn_from_data(inputs, shape, 1, FLOAT32), y = sn_from_data(targets, shape, 1, FLOAT32);
  sn_tensor parameters[2] = {sn_full(NULL, 0, (sn_scalar){0}, FLOAT32), sn_full(NULL, 0, (sn_scalar){0}, FLOAT32)};
  EXPECT(x && y && parameters[0] && parameters[1]);
  for (int i = 0; i < 2; i++) EXPECT(sn_set_requires_grad(parameters[i], 1) == SN_OK);
  double loss = 0;
  for (int step = 0; step < 200; step++) {
    sn_tensor error = sn_binary(sn_elementwise_code("mul"), x, parameters[0]);
    error = then(error, "add", parameters[1]);
    error = then(error, "sub", y);
    sn_tensor squared = sn_binary(sn_elementwise_code("mul"), error, error);
    sn_tensor mean = sn_mean(squared, NULL, 0, 0, -1);
    EXPECT(mean && sn_backward(&mean, NULL, 1, 0, 0, NULL, 0) == SN_OK);
    loss = item(mean);
    EXPECT(sn_set_grad_enabled(0) == SN_OK);
    for (int i = 0; i < 2; i++) {
      sn_tensor grad = sn_grad(parameters[i]);
      EXPECT(grad);
      EXPECT(sn_add_scaled_(sn_elementwise_code("sub"), parameters[i], grad, (sn_scalar){0.3, 0, 0}) == SN_OK);
      EXPECT(sn_set_grad(parameters[i], NULL) == SN_OK);
      sn_release(grad);
    }
    EXPECT(sn_set_grad_enabled(1) == SN_OK);
    sn_release(error);
    sn_release(squared);
    sn_release(mean);
  }
  EXPECT(loss < 1e-8);
  EXPECT(fabs(item(parameters[0]) - 2) < 1e-3 && fabs(item(parameters[1]) - 1) < 1e-3);
  sn_release(x);
  sn_release(y);
  for (int i = 0; i < 2; i++) sn_release(parameters[i]);
  return 0;
}

static int memory(void) {
  int64_t live, peak, cached, allocations;
  const int64_t shape[] = {1000, 1000};
  sn_tensor a = sn_full(shape, 2, one, FLOAT32);
  EXPECT(sn_data(a) && sn_memory_statistics(&live, &peak, &cached, &allocations) == SN_OK);
  EXPECT(live >= 4000000 && peak >= live);
  sn_release(a);
  EXPECT(sn_memory_empty() == SN_OK && sn_memory_statistics(&live, NULL, &cached, NULL) == SN_OK);
  EXPECT(live < 4000000 && cached == 0);
  return 0;
}

int main(void) {
  EXPECT(sn_abi_version() >= 1);
  if (tensors() || foreign_memory() || errors() || gradients() || training() || memory()) return 1;
  puts("ok");
  return 0;
}

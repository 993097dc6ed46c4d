#include "instruction_sets.h"
#include "lanes.h"

namespace faceaffect {
namespace FACEAFFECT_ISA {

namespace {

#if FACEAFFECT_LANES

constexpr int kVectors = kPad / Lanes::count > 0 ? kPad / Lanes::count : 1;  // in kPad columns
constexpr int kRows = 12 / kVectors;  // so many rows at once that the sums fill the registers and no more

// out[12, columns] = a[12, inner] . b[inner, columns], with b's row `inner` added and negatives cut when `relu`.
// All rows have whole multiples of kPad columns.
template <bool relu>
void multiply(const float* a, int a_stride, const float* b, int inner, int columns, float* out) {
  for (int from = 0; from < columns; from += kPad) {
    for (int k = 0; k < kNodes; k += kRows) {
      Lanes::Float sum[kRows][kVectors];
      for (int v = 0; v < kVectors; ++v) {
        const int64_t bias = static_cast<int64_t>(inner) * columns + from + v * Lanes::count;
        for (int r = 0; r < kRows; ++r) sum[r][v] = relu ? Lanes::load(b + bias) : Lanes::set(0.0f);
      }
      for (int i = 0; i < inner; ++i) {
        Lanes::Float row[kVectors];
        for (int v = 0; v < kVectors; ++v)
          row[v] = Lanes::load(b + static_cast<int64_t>(i) * columns + from + v * Lanes::count);
        for (int r = 0; r < kRows; ++r) {
          const Lanes::Float factor = Lanes::set(a[(k + r) * a_stride + i]);
          for (int v = 0; v < kVectors; ++v) sum[r][v] = Lanes::fma(factor, row[v], sum[r][v]);
        }
      }
      for (int r = 0; r < kRows; ++r)
        for (int v = 0; v < kVectors; ++v)
          Lanes::store(out + (k + r) * columns + from + v * Lanes::count,
                       relu ? Lanes::max(sum[r][v], Lanes::set(0.0f)) : sum[r][v]);
    }
  }
}

float dot(const float* a, const float* b, int size) {
  Lanes::Float sum = Lanes::set(0.0f);
  for (int i = 0; i < size; i += Lanes::count) sum = Lanes::fma(Lanes::load(a + i), Lanes::load(b + i), sum);
  float part[Lanes::count], total = 0.0f;
  Lanes::store(part, sum);
  for (float value : part) total += value;
  return total;
}

void run_graph(const float* nodes, const GraphShape& shape, const float* weights, float* out, float* h, float* mixed) {
  const int first = padded(shape.widths[0]);
  for (int k = 0; k < kNodes; ++k)
    for (int i = 0; i < first; ++i) h[k * first + i] = i < shape.widths[0] ? nodes[k * shape.widths[0] + i] : 0.0f;
  for (int layer = 0; layer < shape.layers; ++layer) {
    const int stride = padded(shape.widths[layer]);
    multiply<false>(weights, kPad, h, kNodes, stride, mixed);
    multiply<true>(mixed, stride, weights + layer_offset(shape, layer), shape.widths[layer],
                   padded(shape.widths[layer + 1]), h);
  }
  const int last = padded(shape.widths[shape.layers]);
  const float* readout = weights + readout_offset(shape);
  for (int k = 0; k < kNodes; ++k) out[k] = dot(h + k * last, readout + k * last, last) + readout[kNodes * last + k];
}

#else

void run_graph(const float* nodes, const GraphShape& shape, const float* weights, float* out, float* h, float* mixed) {
  for (int i = 0; i < kNodes * shape.widths[0]; ++i) h[i] = nodes[i];
  for (int layer = 0; layer < shape.layers; ++layer) {
    const int width_in = shape.widths[layer], width_out = shape.widths[layer + 1];
    const float* weight = weights + layer_offset(shape, layer);
    for (int k = 0; k < kNodes; ++k)
      for (int i = 0; i < width_in; ++i) mixed[k * width_in + i] = mixed_value(weights, h, width_in, k, i);
    for (int k = 0; k < kNodes; ++k)
      for (int j = 0; j < width_out; ++j)
        h[k * width_out + j] = layer_value(mixed + k * width_in, weight, width_in, width_out, j);
  }
  const int last = shape.widths[shape.layers];
  for (int k = 0; k < kNodes; ++k) out[k] = logit_value(h + k * last, weights + readout_offset(shape), last, k);
}

#endif

}  // namespace

void au_gcn_cpu(const float* nodes, int64_t count, const GraphShape& shape, const float* weights, float* out,
                  Scratch& scratch) {
  int widest = 0;
  for (int i = 0; i <= shape.layers; ++i) widest = shape.widths[i] > widest ? shape.widths[i] : widest;
  const int64_t size = kNodes * static_cast<int64_t>(padded(widest));
  float* h = reinterpret_cast<float*>(scratch.reserve(0, 2 * static_cast<size_t>(size) * sizeof(float)));
  for (int64_t n = 0; n < count; ++n)
    run_graph(nodes + n * kNodes * shape.widths[0], shape, weights, out + n * kNodes, h, h + size);
}

}  // namespace FACEAFFECT_ISA
}  // namespace faceaffect

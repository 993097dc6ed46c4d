#include "instruction_sets.h"
#include "simd.h"

namespace faceaffect {
namespace FACEAFFECT_ISA {

namespace {

#if FACEAFFECT_SIMD

constexpr int kVectors = kPad / Simd::count > 0 ? kPad / Simd::count : 1;  // in kPad columns
constexpr int kRows = 12 / kVectors;  // number of rows whose sums just fill the registers

// out[12, columns] = a[12, inner] . b[inner, columns] + b[inner], followed by a ReLU if `relu`. All
// row lengths are multiples of kPad.
template <bool relu>
void multiply(const float* a, int a_stride, const float* b, int inner, int columns, float* out) {
  for (int from = 0; from < columns; from += kPad) {
    for (int k = 0; k < kNodes; k += kRows) {
      Simd::Float sum[kRows][kVectors];
      for (int v = 0; v < kVectors; ++v) {
        const int64_t bias = static_cast<int64_t>(inner) * columns + from + v * Simd::count;
        for (int r = 0; r < kRows; ++r) sum[r][v] = relu ? Simd::load(b + bias) : Simd::set(0.0f);
      }
      for (int i = 0; i < inner; ++i) {
        Simd::Float row[kVectors];
        for (int v = 0; v < kVectors; ++v)
          row[v] = Simd::load(b + static_cast<int64_t>(i) * columns + from + v * Simd::count);
        for (int r = 0; r < kRows; ++r) {
          const Simd::Float factor = Simd::set(a[(k + r) * a_stride + i]);
          for (int v = 0; v < kVectors; ++v) sum[r][v] = Simd::fma(factor, row[v], sum[r][v]);
        }
      }
      for (int r = 0; r < kRows; ++r)
        for (int v = 0; v < kVectors; ++v)
          Simd::store(out + (k + r) * columns + from + v * Simd::count,
                      relu ? Simd::max(sum[r][v], Simd::set(0.0f)) : sum[r][v]);
    }
  }
}

float dot(const float* a, const float* b, int size) {
  Simd::Float sum = Simd::set(0.0f);
  for (int i = 0; i < size; i += Simd::count)
    sum = Simd::fma(Simd::load(a + i), Simd::load(b + i), sum);
  float part[Simd::count], total = 0.0f;
  Simd::store(part, sum);
  for (float value : part) total += value;
  return total;
}

void run_graph(const float* nodes, const GraphShape& shape, const float* weights, float* out,
               float* h, float* mixed) {
  const int first = padded(shape.widths[0]);
  for (int k = 0; k < kNodes; ++k)
    for (int i = 0; i < first; ++i)
      h[k * first + i] = i < shape.widths[0] ? nodes[k * shape.widths[0] + i] : 0.0f;
  for (int layer = 0; layer < shape.layers; ++layer) {
    const int stride = padded(shape.widths[layer]);
    multiply<false>(weights, kPad, h, kNodes, stride, mixed);
    multiply<true>(mixed, stride, weights + layer_offset(shape, layer), shape.widths[layer],
                   padded(shape.widths[layer + 1]), h);
  }
  const int last = padded(shape.widths[shape.layers]);
  const float* readout = weights + readout_offset(shape);
  for (int k = 0; k < kNodes; ++k)
    out[k] = dot(h + k * last, readout + k * last, last) + readout[kNodes * last + k];
}

#else

void run_graph(const float* nodes, const GraphShape& shape, const float* weights, float* out,
               float* h, float* mixed) {
  for (int i = 0; i < kNodes * shape.widths[0]; ++i) h[i] = nodes[i];
  for (int layer = 0; layer < shape.layers; ++layer) {
    const int width_in = shape.widths[layer], width_out = shape.widths[layer + 1];
    const float* weight = weights + layer_offset(shape, layer);
    for (int k = 0; k < kNodes; ++k)
      for (int i = 0; i < width_in; ++i)
        mixed[k * width_in + i] = mixed_value(weights, h, width_in, k, i);
    for (int k = 0; k < kNodes; ++k)
      for (int j = 0; j < width_out; ++j)
        h[k * width_out + j] = layer_value(mixed + k * width_in, weight, width_in, width_out, j);
  }
  const int last = shape.widths[shape.layers];
  for (int k = 0; k < kNodes; ++k)
    out[k] = logit_value(h + k * last, weights + readout_offset(shape), last, k);
}

#endif

}  // namespace

void au_gcn_cpu(const float* nodes, int64_t count, const GraphShape& shape, const float* weights,
                float* out, Workspace& workspace) {
  int widest = 0;
  for (int i = 0; i <= shape.layers; ++i)
    widest = shape.widths[i] > widest ? shape.widths[i] : widest;
  const int64_t size = kNodes * static_cast<int64_t>(padded(widest));
  float* h =
      reinterpret_cast<float*>(workspace.reserve(0, 2 * static_cast<size_t>(size) * sizeof(float)));
  for (int64_t n = 0; n < count; ++n)
    run_graph(nodes + n * kNodes * shape.widths[0], shape, weights, out + n * kNodes, h, h + size);
}

}  // namespace FACEAFFECT_ISA
}  // namespace faceaffect

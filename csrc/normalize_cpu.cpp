#include "instruction_sets.h"
#include "simd.h"

namespace faceaffect {
namespace FACEAFFECT_ISA {

namespace {

// Number of pixels that the SIMD loop covers without reading past the last pixel of the image.
int64_t normalize_wide(const uint8_t* pixels, int64_t plane_px, const NormalizeParams& params,
                       float* out) {
  int64_t i = 0;
#if FACEAFFECT_SIMD
  Simd::Float scale[3], offset[3];
  for (int c = 0; c < 3; ++c) {
    scale[c] = Simd::set(static_cast<float>(1.0 / (255.0 * params.std[c])));
    offset[c] = Simd::set(static_cast<float>(-static_cast<double>(params.mean[c]) / params.std[c]));
  }
  for (; 3 * i + Simd::triple_bytes <= 3 * plane_px; i += Simd::count) {
    const Simd::Int rgb = Simd::load_triples(pixels + 3 * i);
    Simd::store(out + i, Simd::fma(Simd::byte<0>(rgb), scale[0], offset[0]));
    Simd::store(out + plane_px + i, Simd::fma(Simd::byte<1>(rgb), scale[1], offset[1]));
    Simd::store(out + 2 * plane_px + i, Simd::fma(Simd::byte<2>(rgb), scale[2], offset[2]));
  }
#else
  (void)pixels, (void)plane_px, (void)params, (void)out;
#endif
  return i;
}

}  // namespace

void normalize_cpu(const uint8_t* pixels, int64_t count, int64_t plane_px,
                   const NormalizeParams& params, float* out) {
  for (int64_t n = 0; n < count; ++n, pixels += 3 * plane_px, out += 3 * plane_px)
    for (int64_t i = normalize_wide(pixels, plane_px, params, out); i < plane_px; ++i)
      for (int c = 0; c < 3; ++c)
        out[c * plane_px + i] = normalize_value(pixels[3 * i + c], params, c);
}

}  // namespace FACEAFFECT_ISA
}  // namespace faceaffect

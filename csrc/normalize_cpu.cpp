#include "instruction_sets.h"
#include "lanes.h"

namespace faceaffect {
namespace FACEAFFECT_ISA {

namespace {

// The pixels that the wide loop of one image covers: it may not read behind the last pixel.
int64_t normalize_wide(const uint8_t* pixels, int64_t plane_px, const NormalizeParams& params, float* out) {
  int64_t i = 0;
#if FACEAFFECT_LANES
  Lanes::Float scale[3], offset[3];
  for (int c = 0; c < 3; ++c) {
    scale[c] = Lanes::set(static_cast<float>(1.0 / (255.0 * params.std[c])));
    offset[c] = Lanes::set(static_cast<float>(-static_cast<double>(params.mean[c]) / params.std[c]));
  }
  for (; 3 * i + Lanes::triple_bytes <= 3 * plane_px; i += Lanes::count) {
    const Lanes::Int rgb = Lanes::load_triples(pixels + 3 * i);
    Lanes::store(out + i, Lanes::fma(Lanes::byte<0>(rgb), scale[0], offset[0]));
    Lanes::store(out + plane_px + i, Lanes::fma(Lanes::byte<1>(rgb), scale[1], offset[1]));
    Lanes::store(out + 2 * plane_px + i, Lanes::fma(Lanes::byte<2>(rgb), scale[2], offset[2]));
  }
#else
  (void)pixels, (void)plane_px, (void)params, (void)out;
#endif
  return i;
}

}  // namespace

void normalize_cpu(const uint8_t* pixels, int64_t count, int64_t plane_px, const NormalizeParams& params, float* out) {
  for (int64_t n = 0; n < count; ++n, pixels += 3 * plane_px, out += 3 * plane_px)
    for (int64_t i = normalize_wide(pixels, plane_px, params, out); i < plane_px; ++i)
      for (int c = 0; c < 3; ++c) out[c * plane_px + i] = normalize_value(pixels[3 * i + c], params, c);
}

}  // namespace FACEAFFECT_ISA
}  // namespace faceaffect

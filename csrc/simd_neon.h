// Four lanes: NEON, part of every 64-bit Arm processor.
#pragma once

#include <arm_neon.h>

#include <cstdint>
#include <cstring>

namespace faceaffect {
namespace {

struct Simd {
  using Float = float32x4_t;
  using Int = int32x4_t;
  static constexpr int count = 4;
  static constexpr int triple_bytes = 16;

  static Float set(float value) { return vdupq_n_f32(value); }
  static Float iota() {
    const float values[4] = {0.0f, 1.0f, 2.0f, 3.0f};
    return vld1q_f32(values);
  }
  static Float load(const float* from) { return vld1q_f32(from); }
  static void store(float* to, Float value) { vst1q_f32(to, value); }
  static Float add(Float a, Float b) { return vaddq_f32(a, b); }
  static Float sub(Float a, Float b) { return vsubq_f32(a, b); }
  static Float mul(Float a, Float b) { return vmulq_f32(a, b); }
  static Float max(Float a, Float b) { return vmaxq_f32(a, b); }
  static Float min(Float a, Float b) { return vminq_f32(a, b); }
  static Float fma(Float a, Float b, Float c) { return vfmaq_f32(c, a, b); }  // a b + c

  static Int set_int(int value) { return vdupq_n_s32(value); }
  static void store_int(int32_t* to, Int value) { vst1q_s32(to, value); }
  static Int add_int(Int a, Int b) { return vaddq_s32(a, b); }
  static Int mul_int(Int a, Int b) { return vmulq_s32(a, b); }
  static Int truncate(Float value) { return vcvtq_s32_f32(value); }
  static Float to_float(Int value) { return vcvtq_f32_s32(value); }

  template <int k>
  static Float byte(Int value) {
    const uint8_t z = 255;  // an out-of-range index yields 0
    const uint8_t take[16] = {k, z, z, z, k + 4, z, z, z, k + 8, z, z, z, k + 12, z, z, z};
    return vcvtq_f32_u32(
        vreinterpretq_u32_u8(vqtbl1q_u8(vreinterpretq_u8_s32(value), vld1q_u8(take))));
  }

  static Int load_32(const uint8_t* base, const int32_t* at) {
    int32_t words[4];
    for (int i = 0; i < 4; ++i) std::memcpy(&words[i], base + at[i], 4);
    return vld1q_s32(words);
  }

  static void load_64(const uint8_t* base, const int32_t* at, Int* low, Int* high) {
    const int32x4_t first = two(base, at[0], at[1]), second = two(base, at[2], at[3]);
    *low = vuzp1q_s32(first, second);
    *high = vuzp2q_s32(first, second);
  }

  static Int load_triples(const uint8_t* from) {
    const uint8_t z = 255;
    const uint8_t take[16] = {0, 1, 2, z, 3, 4, 5, z, 6, 7, 8, z, 9, 10, 11, z};
    return vreinterpretq_s32_u8(vqtbl1q_u8(vld1q_u8(from), vld1q_u8(take)));
  }

 private:
  static int32x4_t two(const uint8_t* base, int32_t first, int32_t second) {
    return vreinterpretq_s32_u8(vcombine_u8(vld1_u8(base + first), vld1_u8(base + second)));
  }
};

}  // namespace
}  // namespace faceaffect

// Sums horizontally adjacent pixels, 16 bytes at a time: the NEON version of simd_pairwise_x86.h.
#pragma once

#include <arm_neon.h>

#include <cstdint>

namespace faceaffect {
namespace {

struct SimdPairwise {
  static constexpr bool kHasWide = false;
  template <int channels>
  static uint16x8_t sum(const uint8_t* from) {
    constexpr uint8_t z = 255;  // an out-of-range index yields 0
    const uint8_t three[16] = {0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11, z, z, z, z};
    const uint8_t two[16] = {0, 2, 1, 3, 4, 6, 5, 7, 8, 10, 9, 11, 12, 14, 13, 15};
    const uint8x16_t bytes = vld1q_u8(from);
    if (channels == 1) return vpaddlq_u8(bytes);
    return vpaddlq_u8(vqtbl1q_u8(bytes, vld1q_u8(channels == 3 ? three : two)));
  }
  static uint16x8_t add(uint16x8_t a, uint16x8_t b) { return vaddq_u16(a, b); }
  // Sums groups of four pixels in two halves side by side; store_fours() adds the halves.
  template <int channels>
  static uint16x8_t sum_in_fours(const uint8_t* from) {
    constexpr uint8_t z = 255;
    const uint8_t three[16] = {0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11, z, z, z, z};
    const uint8_t two[16] = {0, 2, 4, 6, 1, 3, 5, 7, 8, 10, 12, 14, 9, 11, 13, 15};
    const uint8x16_t bytes = vld1q_u8(from);
    if (channels == 1) return vpaddlq_u8(bytes);
    return vpaddlq_u8(vqtbl1q_u8(bytes, vld1q_u8(channels == 3 ? three : two)));
  }
  static void store_fours(uint16_t* to, uint16x8_t halves) {
    vst1_u16(to, vmovn_u32(vpaddlq_u16(halves)));
  }
  // Eight bytes (sum + 2) / 4, rounded down.
  static void store_quarters(uint8_t* to, uint16x8_t sums) { vst1_u8(to, vrshrn_n_u16(sums, 2)); }
  static uint16x8_t load(const uint16_t* from) { return vld1q_u16(from); }
  static void store(uint16_t* to, uint16x8_t value) { vst1q_u16(to, value); }
};

}  // namespace
}  // namespace faceaffect

// Sums of horizontally adjacent pixels, 16 bytes at a time: SSE4.1, part of every x86 instruction set with Lanes.
#pragma once

#include <immintrin.h>

#include <cstdint>

namespace faceaffect {
namespace {

struct Pairs {
  // 16 bytes in the order `beside`, then the sums of two and two.
  static __m128i sum_neighbours(const uint8_t* from, __m128i beside) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
    return _mm_maddubs_epi16(_mm_shuffle_epi8(bytes, beside), _mm_set1_epi8(1));
  }
  // Reads 16 bytes, of which the last four of three channels do not count; the sums of a pair lie as its channels did.
  template <int channels>
  static __m128i sum(const uint8_t* from) {
    const __m128i beside = channels == 3   ? _mm_setr_epi8(0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11, -1, -1, -1, -1)
                           : channels == 2 ? _mm_setr_epi8(0, 2, 1, 3, 4, 6, 5, 7, 8, 10, 9, 11, 12, 14, 13, 15)
                                           : _mm_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    return sum_neighbours(from, beside);
  }
  static __m128i add(__m128i a, __m128i b) { return _mm_add_epi16(a, b); }
  // The same of fours of pixels, in two halves that lie side by side; store_fours() adds those.
  template <int channels>
  static __m128i sum_in_fours(const uint8_t* from) {
    const __m128i beside = channels == 3   ? _mm_setr_epi8(0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11, -1, -1, -1, -1)
                           : channels == 2 ? _mm_setr_epi8(0, 2, 4, 6, 1, 3, 5, 7, 8, 10, 12, 14, 9, 11, 13, 15)
                                           : _mm_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    return sum_neighbours(from, beside);
  }
  static void store_fours(uint16_t* to, __m128i halves) {
    const __m128i sums = _mm_madd_epi16(halves, _mm_set1_epi16(1));
    _mm_storel_epi64(reinterpret_cast<__m128i*>(to), _mm_packus_epi32(sums, sums));
  }
  // Eight bytes (sum + 2) / 4, rounded down.
  static void store_quarters(uint8_t* to, __m128i sums) {
    const __m128i quarters = _mm_srli_epi16(_mm_add_epi16(sums, _mm_set1_epi16(2)), 2);
    _mm_storel_epi64(reinterpret_cast<__m128i*>(to), _mm_packus_epi16(quarters, quarters));
  }
  static __m128i load(const uint16_t* from) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from)); }
  static void store(uint16_t* to, __m128i value) { _mm_storeu_si128(reinterpret_cast<__m128i*>(to), value); }
};

}  // namespace
}  // namespace faceaffect

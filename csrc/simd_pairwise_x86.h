// Sums horizontally adjacent pixels, 16 bytes at a time, with SSE4.1, which every x86 instruction
// set of Simd includes. Groups of four color pixels use the full register where it is wider.
#pragma once

#include <immintrin.h>

#include <cstdint>

namespace faceaffect {
namespace {

struct SimdPairwise {
  // Shuffles 16 bytes by `beside`, then sums adjacent pairs.
  static __m128i sum_neighbors(const uint8_t* from, __m128i beside) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
    return _mm_maddubs_epi16(_mm_shuffle_epi8(bytes, beside), _mm_set1_epi8(1));
  }
  // Reads 16 bytes (with three channels the last four are ignored); the sums keep the order of the
  // channels.
  template <int channels>
  static __m128i sum(const uint8_t* from) {
    const __m128i beside =
        channels == 3   ? _mm_setr_epi8(0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11, -1, -1, -1, -1)
        : channels == 2 ? _mm_setr_epi8(0, 2, 1, 3, 4, 6, 5, 7, 8, 10, 9, 11, 12, 14, 13, 15)
                        : _mm_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    return sum_neighbors(from, beside);
  }
  static __m128i add(__m128i a, __m128i b) { return _mm_add_epi16(a, b); }
  // Sums groups of four pixels in two halves side by side; store_fours() adds the halves.
  template <int channels>
  static __m128i sum_in_fours(const uint8_t* from) {
    const __m128i beside =
        channels == 3   ? _mm_setr_epi8(0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11, -1, -1, -1, -1)
        : channels == 2 ? _mm_setr_epi8(0, 2, 4, 6, 1, 3, 5, 7, 8, 10, 12, 14, 9, 11, 13, 15)
                        : _mm_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    return sum_neighbors(from, beside);
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
#if defined(__AVX512BW__) || defined(__AVX2__)
  static constexpr bool kHasWide = true;
#else
  static constexpr bool kHasWide = false;
#endif
#if defined(__AVX512BW__)
  // Processes four groups of four color pixels: 12 bytes are three 32-bit words, so one permutation
  // puts one group into each lane. Reads kWideBytes and uses 48.
  static constexpr int kWideFours = 4, kWideBytes = 64;
  using Wide = __m512i;
  static Wide wide_sum(const uint8_t* from) {
    const __m512i apart = _mm512_setr_epi32(0, 1, 2, 2, 3, 4, 5, 5, 6, 7, 8, 8, 9, 10, 11, 11);
    const __m512i beside =
        _mm512_broadcast_i32x4(_mm_setr_epi8(0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11, -1, -1, -1, -1));
    const __m512i lanes = _mm512_permutexvar_epi32(apart, _mm512_loadu_si512(from));
    return _mm512_maddubs_epi16(_mm512_shuffle_epi8(lanes, beside), _mm512_set1_epi8(1));
  }
  static Wide wide_add(Wide a, Wide b) { return _mm512_add_epi16(a, b); }
  // Writes twelve sums followed by four unused values.
  static void wide_store(uint16_t* to, Wide halves) {
    const __m512i together =
        _mm512_setr_epi32(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, 15, 15, 15, 15);
    const __m512i sums =
        _mm512_permutexvar_epi32(together, _mm512_madd_epi16(halves, _mm512_set1_epi16(1)));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm512_cvtepi32_epi16(sums));
  }
  // Writes twelve bytes (sum + 4) / 8, rounded down, followed by four unused bytes.
  static void wide_store_eighths(uint8_t* to, Wide halves) {
    const __m512i together =
        _mm512_setr_epi32(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, 15, 15, 15, 15);
    const __m512i sums = _mm512_madd_epi16(halves, _mm512_set1_epi16(1));
    const __m512i eighths = _mm512_srli_epi32(_mm512_add_epi32(sums, _mm512_set1_epi32(4)), 3);
    const __m128i bytes = _mm512_cvtepi32_epi8(_mm512_permutexvar_epi32(together, eighths));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), bytes);
  }
#elif defined(__AVX2__)
  // Processes two groups of four pixels; 24 of the bytes are used.
  static constexpr int kWideFours = 2, kWideBytes = 32;
  using Wide = __m256i;
  static Wide wide_sum(const uint8_t* from) {
    const __m256i apart = _mm256_setr_epi32(0, 1, 2, 2, 3, 4, 5, 5);
    const __m256i beside = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11, -1, -1, -1, -1));
    const __m256i bytes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
    return _mm256_maddubs_epi16(
        _mm256_shuffle_epi8(_mm256_permutevar8x32_epi32(bytes, apart), beside),
        _mm256_set1_epi8(1));
  }
  static Wide wide_add(Wide a, Wide b) { return _mm256_add_epi16(a, b); }
  // Writes six sums followed by two unused values.
  static void wide_store(uint16_t* to, Wide halves) {
    const __m256i sums = _mm256_permutevar8x32_epi32(
        _mm256_madd_epi16(halves, _mm256_set1_epi16(1)), _mm256_setr_epi32(0, 1, 2, 4, 5, 6, 7, 7));
    const __m128i words =
        _mm_packus_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), words);
  }
  // Writes six bytes (sum + 4) / 8, rounded down, followed by two unused bytes.
  static void wide_store_eighths(uint8_t* to, Wide halves) {
    const __m256i sums = _mm256_madd_epi16(halves, _mm256_set1_epi16(1));
    const __m256i eighths = _mm256_srli_epi32(_mm256_add_epi32(sums, _mm256_set1_epi32(4)), 3);
    const __m256i together =
        _mm256_permutevar8x32_epi32(eighths, _mm256_setr_epi32(0, 1, 2, 4, 5, 6, 7, 7));
    const __m128i words =
        _mm_packus_epi32(_mm256_castsi256_si128(together), _mm256_extracti128_si256(together, 1));
    _mm_storel_epi64(reinterpret_cast<__m128i*>(to), _mm_packus_epi16(words, words));
  }
#endif
  static __m128i load(const uint16_t* from) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
  }
  static void store(uint16_t* to, __m128i value) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), value);
  }
};

}  // namespace
}  // namespace faceaffect

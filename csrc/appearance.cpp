#include "appearance.h"

#include <algorithm>
#include <cmath>

namespace faceaffect {

namespace {

constexpr float kShortest = 1e-3f;  // a flat crop stays flat instead of amplifying rounding errors

void scale_to_unit(float* row) {
  // Four independent sums: with one, each addition waits for the previous one.
  float sums[4] = {};
  for (int i = 0; i < kAppearanceSize; i += 4)
    for (int k = 0; k < 4; ++k) sums[k] += row[i + k] * row[i + k];
  const float length = std::max(std::sqrt((sums[0] + sums[1]) + (sums[2] + sums[3])), kShortest);
  for (int i = 0; i < kAppearanceSize; ++i) row[i] /= length;
}

}  // namespace

void sample_grid(const float* crops, int64_t count, int size_px, float* grid) {
  const int64_t plane = static_cast<int64_t>(size_px) * size_px;
  for (int64_t p = 0; p < 3 * count; ++p)
    for (int i = 0; i < kAppearanceGrid; ++i)
      for (int j = 0; j < kAppearanceGrid; ++j)
        *grid++ = portrait_value(crops + p * plane, size_px, i, j);
}

void descriptors_from_grid(const float* grid, int64_t count, const float* mean_face,
                           float* descriptors) {
  for (int64_t n = 0; n < count; ++n, grid += kAppearanceSize, descriptors += kAppearanceSize) {
    for (int c = 0; c < 3; ++c) {
      const float* from = grid + c * kAppearanceCells;
      float* to = descriptors + c * kAppearanceCells;
      float sums[4] = {};
      for (int i = 0; i < kAppearanceCells; i += 4)
        for (int k = 0; k < 4; ++k) sums[k] += from[i + k];
      const float mean = ((sums[0] + sums[1]) + (sums[2] + sums[3])) / kAppearanceCells;
      for (int i = 0; i < kAppearanceCells; ++i) to[i] = from[i] - mean;
    }
    scale_to_unit(descriptors);
    for (int i = 0; i < kAppearanceSize; ++i) descriptors[i] -= mean_face[i];
    scale_to_unit(descriptors);
  }
}

float cosine_similarity(const float* first, const float* second, int64_t count) {
  constexpr int kSums = 8;  // independent partial sums that fit one register
  float sums[kSums] = {};
  int64_t i = 0;
  for (; i + kSums <= count; i += kSums)
    for (int k = 0; k < kSums; ++k) sums[k] += first[i + k] * second[i + k];
  for (; i < count; ++i) sums[0] += first[i] * second[i];
  return ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
}

}  // namespace faceaffect

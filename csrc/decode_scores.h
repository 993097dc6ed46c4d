// Decodes raw head outputs to scores and smooths scores over time. NumPy definitions:
// sdk/faceaffect/kernels.
#pragma once

#include <cstdint>

namespace faceaffect {

constexpr int kActionUnits = 12, kExpressions = 7;
constexpr int kScores = kActionUnits + kExpressions + 2;

float sigmoid(float logit);

// au [N, 12] logits, expression [N, 7] logits, va [N, 2] raw (`squash`: tanh) or in -1 .. 1
// (clipped)  ->  scores [N, 21]
void decode_scores(const float* au, const float* expression, const float* va, int64_t count,
                   bool squash, float* scores);

// Thresholds [12] with hysteresis: an active unit turns off below `low`, an inactive one turns on
// above `high`.
struct HysteresisThresholds {
  const float* low;
  const float* threshold;
  const float* high;
};

// Weight of the newest value in the exponential moving averages. AU and expression scores follow a
// change of `jump` or more at once; the weight grows with the square of smaller changes.
struct EmaAlpha {
  float scores, va, jump;
};

// Updates one face's running mean [21] with `scores` [21], writes the mean back to `scores` and
// updates the decisions [12]; `is_first` starts both anew.
void smooth_scores(float* scores, float* mean, uint8_t* on, bool is_first, EmaAlpha weight,
                   const HysteresisThresholds& limits);

}  // namespace faceaffect

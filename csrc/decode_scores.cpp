#include "decode_scores.h"

#include <algorithm>
#include <cmath>

namespace faceaffect {

float sigmoid(float logit) { return 0.5f * (1.0f + std::tanh(0.5f * logit)); }

void decode_scores(const float* au, const float* expression, const float* va, int64_t count,
                   bool squash, float* scores) {
  for (int64_t n = 0; n < count;
       ++n, au += kActionUnits, expression += kExpressions, va += 2, scores += kScores) {
    for (int k = 0; k < kActionUnits; ++k) scores[k] = sigmoid(au[k]);
    float most = expression[0], sum = 0;
    // A comparison that lets NaN through, as NumPy's maximum does.
    for (int k = 1; k < kExpressions; ++k)
      most = expression[k] > most || std::isnan(expression[k]) ? expression[k] : most;
    for (int k = 0; k < kExpressions; ++k)
      sum += scores[kActionUnits + k] = std::exp(expression[k] - most);
    for (int k = 0; k < kExpressions; ++k) scores[kActionUnits + k] /= sum;
    for (int k = 0; k < 2; ++k) {
      const float clipped = std::isnan(va[k]) ? va[k] : std::min(std::max(va[k], -1.0f), 1.0f);
      scores[kActionUnits + kExpressions + k] = squash ? std::tanh(va[k]) : clipped;
    }
  }
}

void smooth_scores(float* scores, float* mean, uint8_t* on, bool is_first, EmaAlpha weight,
                   const HysteresisThresholds& limits) {
  for (int k = 0; k < kScores; ++k) {
    const float change = scores[k] - mean[k];
    float newest = weight.va;
    if (k < kActionUnits + kExpressions) {
      const float size = std::min(1.0f, std::abs(change) / weight.jump);
      newest = weight.scores + (1 - weight.scores) * (size * size);
    }
    scores[k] = mean[k] = is_first ? scores[k] : mean[k] + newest * change;
  }
  for (int k = 0; k < kActionUnits; ++k) {
    const float limit = is_first ? limits.threshold[k] : on[k] ? limits.low[k] : limits.high[k];
    on[k] = scores[k] >= limit;
  }
}

}  // namespace faceaffect

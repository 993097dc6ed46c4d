// Raw heads to scores, and scores over time; the definitions are decode.py and smooth.py of the SDK.
#pragma once

#include <cstdint>

namespace faceaffect {

constexpr int kUnits = 12, kExpressions = 7;
constexpr int kScores = kUnits + kExpressions + 2;

float logistic(float logit);

// au [N, 12] logits, expression [N, 7] logits, va [N, 2] raw (`squash`: tanh) or in -1 .. 1 (clipped)  ->  scores [N, 21]
void decode_scores(const float* au, const float* expression, const float* va, int64_t count, bool squash, float* scores);

// Where an action unit [12] that is on goes off, its threshold, and where one that is off comes on.
struct HysteresisThresholds {
  const float* goes_off;
  const float* threshold;
  const float* comes_on;
};

// Weight of the newest value: of units and expressions, of valence and arousal. Units and expressions follow a change at once
// that is as large as `jump`, smaller ones the more the larger they are.
struct NewestShare {
  float scores, va, jump;
};

// One face's scores [21] into their running mean [21] and back; decisions [12] keep to those before unless `is_first`.
void smooth_scores(float* scores, float* mean, bool* on, bool is_first, NewestShare share, const HysteresisThresholds& limits);

}  // namespace faceaffect

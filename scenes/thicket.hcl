# A house between two trees, in front of one and behind the other, by pairs: what occludes what. A
# number for each, z, would say the same; pairs need no counting, and what is added later changes none.

entity "oak" {
  prompt = "a tree"
  box    = xyxy(0.06, 0.12, 0.44, 0.80)
}

entity "house" {
  prompt   = "a house"
  box      = xyxy(0.24, 0.34, 0.76, 0.92)
  occludes = [entity.oak]
}

entity "bush" {
  prompt   = "a tree"
  box      = xyxy(0.64, 0.40, 0.96, 0.96)
  occludes = [entity.house]
}

render "thicket" {
  prompt  = "a tree, a house and a tree in a meadow"
  overlap = "over"
  seed    = 5
}

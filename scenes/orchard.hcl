# Regions from pictures: a mask is white where the entity is. The picture is
# wider than it is high, and one mask is square: "contain" keeps its shape.

render "orchard" {
  prompt = "a tree and an apple in a meadow"
  size   = [384, 256]
}

entity "tree" {
  prompt = "a green tree"
  mask   = image("masks/tree.png")
}

entity "apple" {
  prompt = "a red apple"
  mask   = image("masks/disc.png", { fit = "contain" })
}

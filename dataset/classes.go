package dataset

import (
	"slices"
	"strings"
)

// A Class is a kind of object that a picture can hold.
type Class struct {
	Name string   // "apple": how captions call it
	File string   // the sprite's file name without extension: the emoji's code points
	Also []string // longer names that are true of this sprite: "red apple"; said in a part of the training captions
	Turn int      // the object may be rotated by up to so many degrees either way; 180 is any angle
	Sky  bool     // belongs above the horizon, and throws no shadow
	Aim  bool     // reads wrongly in a mirror
	Bare bool     // takes no article: "grapes"
}

// Prompt returns the name with its article: "an apple".
func (c Class) Prompt() string { return c.called(c.Name) }

func (c Class) called(name string) string {
	if c.Bare {
		return name
	}
	return withArticle(name)
}

func withArticle(name string) string {
	article := "a "
	if strings.ContainsRune("aeiou", rune(name[0])) && !strings.HasPrefix(name, "unicorn") {
		article = "an "
	}
	return article + name
}

// Classes returns the first n classes of the table, in which each class differs as much as
// possible from those before it: the first twenty differ most in colour and outline. n ≤ 0
// and n beyond the table's end mean all.
func Classes(n int) []Class {
	if n <= 0 || n > len(classes) {
		n = len(classes)
	}
	return slices.Clone(classes[:n])
}

// ClassNamed finds a class of the table by its name.
func ClassNamed(name string) (Class, bool) {
	for _, c := range classes {
		if c.Name == name {
			return c, true
		}
	}
	return Class{}, false
}

var classes = []Class{
	{Name: "apple", File: "1f34e", Also: []string{"red apple"}, Turn: 20},
	{Name: "banana", File: "1f34c", Also: []string{"yellow banana"}, Turn: 25},
	{Name: "dog", File: "1f436", Also: []string{"brown dog", "puppy"}, Turn: 8},
	{Name: "cat", File: "1f431", Also: []string{"yellow cat", "kitten"}, Turn: 8},
	{Name: "car", File: "1f697", Also: []string{"red car"}, Turn: 4},
	{Name: "sun", File: "2600-fe0f", Also: []string{"orange sun"}, Turn: 180, Sky: true},
	{Name: "moon", File: "1f319", Also: []string{"yellow moon"}, Turn: 15, Sky: true},
	{Name: "tree", File: "1f333", Also: []string{"green tree"}, Turn: 3},
	{Name: "house", File: "1f3e0", Also: []string{"small house"}, Turn: 2},
	{Name: "ball", File: "26bd", Also: []string{"soccer ball"}, Turn: 180},
	{Name: "star", File: "2b50", Also: []string{"yellow star"}, Turn: 18, Sky: true},
	{Name: "heart", File: "2764-fe0f", Also: []string{"red heart"}, Turn: 15, Sky: true},
	{Name: "sunflower", File: "1f33b", Also: []string{"yellow sunflower"}, Turn: 8},
	{Name: "fish", File: "1f41f", Also: []string{"blue fish"}, Turn: 15},
	{Name: "duck", File: "1f986", Turn: 5},
	{Name: "mushroom", File: "1f344", Also: []string{"red mushroom"}, Turn: 8},
	{Name: "pizza", File: "1f355", Turn: 25},
	{Name: "frog", File: "1f438", Also: []string{"green frog"}, Turn: 8},
	{Name: "umbrella", File: "2602-fe0f", Also: []string{"purple umbrella"}, Turn: 15},
	{Name: "rainbow", File: "1f308", Turn: 5, Sky: true},

	{Name: "penguin", File: "1f427", Turn: 6},
	{Name: "panda", File: "1f43c", Turn: 8},
	{Name: "strawberry", File: "1f353", Also: []string{"red strawberry"}, Turn: 20},
	{Name: "cactus", File: "1f335", Also: []string{"green cactus"}, Turn: 4},
	{Name: "train", File: "1f682", Also: []string{"black train"}, Turn: 3},
	{Name: "rocket", File: "1f680", Turn: 25, Sky: true},
	{Name: "gift", File: "1f381", Also: []string{"red gift"}, Turn: 6},
	{Name: "robot", File: "1f916", Turn: 5},
	{Name: "snowman", File: "26c4", Turn: 5},
	{Name: "butterfly", File: "1f98b", Also: []string{"orange butterfly"}, Turn: 25, Sky: true},
	{Name: "watermelon", File: "1f349", Turn: 20},
	{Name: "pumpkin", File: "1f383", Also: []string{"orange pumpkin"}, Turn: 8},
	{Name: "tulip", File: "1f337", Also: []string{"pink tulip"}, Turn: 8},
	{Name: "cake", File: "1f382", Also: []string{"birthday cake"}, Turn: 3},
	{Name: "pig", File: "1f437", Also: []string{"pink pig"}, Turn: 8},
	{Name: "fox", File: "1f98a", Also: []string{"orange fox"}, Turn: 8},
	{Name: "owl", File: "1f989", Also: []string{"brown owl"}, Turn: 6},
	{Name: "boat", File: "26f5", Also: []string{"small boat"}, Turn: 6},
	{Name: "crown", File: "1f451", Also: []string{"golden crown"}, Turn: 12},
	{Name: "balloon", File: "1f388", Also: []string{"red balloon"}, Turn: 15, Sky: true},

	{Name: "lion", File: "1f981", Turn: 8},
	{Name: "rabbit", File: "1f430", Also: []string{"white rabbit"}, Turn: 8},
	{Name: "monkey", File: "1f435", Turn: 8},
	{Name: "elephant", File: "1f418", Also: []string{"gray elephant"}, Turn: 4},
	{Name: "whale", File: "1f433", Also: []string{"blue whale"}, Turn: 8},
	{Name: "crab", File: "1f980", Also: []string{"pink crab"}, Turn: 10},
	{Name: "turtle", File: "1f422", Also: []string{"green turtle"}, Turn: 6},
	{Name: "grapes", File: "1f347", Also: []string{"purple grapes"}, Turn: 15, Bare: true},
	{Name: "orange", File: "1f34a", Turn: 20},
	{Name: "lemon", File: "1f34b", Also: []string{"yellow lemon"}, Turn: 25},
	{Name: "pear", File: "1f350", Also: []string{"green pear"}, Turn: 15},
	{Name: "carrot", File: "1f955", Also: []string{"orange carrot"}, Turn: 25},
	{Name: "corn", File: "1f33d", Also: []string{"yellow corn"}, Turn: 20, Bare: true},
	{Name: "burger", File: "1f354", Turn: 5},
	{Name: "donut", File: "1f369", Turn: 25},
	{Name: "ice cream", File: "1f366", Turn: 12},
	{Name: "cup", File: "2615", Also: []string{"white cup"}, Turn: 5},
	{Name: "teapot", File: "1fad6", Also: []string{"red teapot"}, Turn: 6},
	{Name: "bus", File: "1f68c", Turn: 3},
	{Name: "airplane", File: "2708-fe0f", Turn: 20, Sky: true},

	{Name: "bear", File: "1f43b", Also: []string{"brown bear"}, Turn: 8},
	{Name: "koala", File: "1f428", Also: []string{"gray koala"}, Turn: 8},
	{Name: "tiger", File: "1f42f", Turn: 8},
	{Name: "cow", File: "1f42e", Turn: 8},
	{Name: "mouse", File: "1f42d", Also: []string{"gray mouse"}, Turn: 8},
	{Name: "horse", File: "1f40e", Also: []string{"brown horse"}, Turn: 5},
	{Name: "zebra", File: "1f993", Turn: 4},
	{Name: "giraffe", File: "1f992", Turn: 4},
	{Name: "sheep", File: "1f411", Also: []string{"white sheep"}, Turn: 4},
	{Name: "camel", File: "1f42a", Turn: 4},
	{Name: "flamingo", File: "1f9a9", Also: []string{"pink flamingo"}, Turn: 5},
	{Name: "parrot", File: "1f99c", Turn: 8},
	{Name: "octopus", File: "1f419", Also: []string{"orange octopus"}, Turn: 10},
	{Name: "dolphin", File: "1f42c", Also: []string{"blue dolphin"}, Turn: 15},
	{Name: "snail", File: "1f40c", Turn: 6},
	{Name: "bee", File: "1f41d", Turn: 20, Sky: true},
	{Name: "ladybug", File: "1f41e", Also: []string{"red ladybug"}, Turn: 25},
	{Name: "unicorn", File: "1f984", Turn: 8},
	{Name: "dinosaur", File: "1f996", Also: []string{"green dinosaur"}, Turn: 5},
	{Name: "squirrel", File: "1f43f-fe0f", Turn: 5},

	{Name: "pineapple", File: "1f34d", Turn: 15},
	{Name: "cherry", File: "1f352", Also: []string{"red cherry"}, Turn: 15},
	{Name: "kiwi", File: "1f95d", Also: []string{"green kiwi"}, Turn: 25},
	{Name: "avocado", File: "1f951", Turn: 20},
	{Name: "tomato", File: "1f345", Also: []string{"red tomato"}, Turn: 15},
	{Name: "eggplant", File: "1f346", Also: []string{"purple eggplant"}, Turn: 25},
	{Name: "broccoli", File: "1f966", Turn: 15, Bare: true},
	{Name: "cheese", File: "1f9c0", Also: []string{"yellow cheese"}, Turn: 8, Bare: true},
	{Name: "bread", File: "1f35e", Also: []string{"brown bread"}, Turn: 6, Bare: true},
	{Name: "pretzel", File: "1f968", Turn: 20},
	{Name: "cookie", File: "1f36a", Turn: 180},
	{Name: "cupcake", File: "1f9c1", Also: []string{"pink cupcake"}, Turn: 6},
	{Name: "taxi", File: "1f695", Also: []string{"yellow taxi"}, Turn: 4},
	{Name: "tractor", File: "1f69c", Also: []string{"green tractor"}, Turn: 4},
	{Name: "helicopter", File: "1f681", Turn: 10, Sky: true},
	{Name: "fire truck", File: "1f692", Turn: 3, Aim: true},
	{Name: "bicycle", File: "1f6b2", Turn: 5},
	{Name: "guitar", File: "1f3b8", Also: []string{"red guitar"}, Turn: 25},
	{Name: "drum", File: "1f941", Turn: 8},
	{Name: "trumpet", File: "1f3ba", Also: []string{"golden trumpet"}, Turn: 20},

	{Name: "bell", File: "1f514", Also: []string{"golden bell"}, Turn: 15},
	{Name: "diamond", File: "1f48e", Also: []string{"blue diamond"}, Turn: 12},
	{Name: "key", File: "1f511", Also: []string{"golden key"}, Turn: 180},
	{Name: "lock", File: "1f512", Turn: 8},
	{Name: "clock", File: "23f0", Also: []string{"red clock"}, Turn: 8, Aim: true},
	{Name: "camera", File: "1f4f7", Turn: 8},
	{Name: "book", File: "1f4d5", Also: []string{"red book"}, Turn: 12},
	{Name: "pencil", File: "270f-fe0f", Turn: 180},
	{Name: "hat", File: "1f3a9", Also: []string{"black hat"}, Turn: 12},
	{Name: "shoe", File: "1f45f", Turn: 8},
	{Name: "shirt", File: "1f455", Also: []string{"green shirt"}, Turn: 8},
	{Name: "dress", File: "1f457", Also: []string{"blue dress"}, Turn: 8},
	{Name: "backpack", File: "1f392", Turn: 8},
	{Name: "chair", File: "1fa91", Also: []string{"brown chair"}, Turn: 4},
	{Name: "castle", File: "1f3f0", Turn: 2},
	{Name: "tent", File: "26fa", Also: []string{"green tent"}, Turn: 3},
	{Name: "volcano", File: "1f30b", Turn: 2},
	{Name: "trophy", File: "1f3c6", Also: []string{"golden trophy"}, Turn: 8},
	{Name: "ghost", File: "1f47b", Also: []string{"white ghost"}, Turn: 12, Sky: true},
	{Name: "candle", File: "1f56f-fe0f", Turn: 4},

	{Name: "skull", File: "1f480", Turn: 10},
	{Name: "bucket", File: "1faa3", Also: []string{"blue bucket"}, Turn: 6},
	{Name: "dice", File: "1f3b2", Turn: 10},
	{Name: "magnet", File: "1f9f2", Turn: 20},
	{Name: "planet", File: "1fa90", Turn: 20, Sky: true},
	{Name: "palm tree", File: "1f334", Turn: 4},
	{Name: "rose", File: "1f339", Also: []string{"red rose"}, Turn: 10},
	{Name: "leaf", File: "1f341", Also: []string{"red leaf"}, Turn: 25},
	{Name: "clover", File: "1f340", Also: []string{"green clover"}, Turn: 20},
	{Name: "snowflake", File: "2744-fe0f", Also: []string{"blue snowflake"}, Turn: 25, Sky: true},
	{Name: "fire", File: "1f525", Turn: 5},
	{Name: "cloud", File: "2601-fe0f", Also: []string{"white cloud"}, Turn: 4, Sky: true},
	{Name: "swan", File: "1f9a2", Also: []string{"white swan"}, Turn: 5},
	{Name: "rooster", File: "1f413", Turn: 5},
	{Name: "hedgehog", File: "1f994", Turn: 5},
	{Name: "popcorn", File: "1f37f", Turn: 6, Bare: true},
	{Name: "taco", File: "1f32e", Turn: 8},
	{Name: "sandwich", File: "1f96a", Turn: 5},
	{Name: "croissant", File: "1f950", Turn: 20},
	{Name: "anchor", File: "2693", Also: []string{"blue anchor"}, Turn: 15},
	{Name: "basketball", File: "1f3c0", Turn: 180},
	{Name: "violin", File: "1f3bb", Turn: 25},
	{Name: "kite", File: "1fa81", Turn: 15, Sky: true},
	{Name: "teddy bear", File: "1f9f8", Turn: 6},
}

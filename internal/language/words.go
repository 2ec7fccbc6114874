package language

import "strings"

// function words are what a language is made of: short messages that have too
// few letters for statistics have some of these.
var functionWords = map[string][]string{
	"en": strings.Fields(`i you he she it we they my your his her our their the an this that these those is are was were am be been do does did don't doesn't didn't
		can can't could would should will won't have has had not how what when where why who which and or but if to of in on at for from with without by
		about into there here any some please want need help get got i'm i've i'd it's what's me us them so just like know make change help forgot lost reset order password account`),
	"de": strings.Fields(`ich du er sie es wir ihr mein meine meinen meiner dein deine unser ihre der die das den dem des ein eine einen einem einer ist sind war waren bin
		kann können konnte würde soll will möchte habe hat haben hatte nicht kein keine wie was wann wo warum wer welche und oder aber wenn zu von im in am an auf für
		aus mit ohne bei über nach bitte brauche hilfe mir mich uns auch noch schon nur gibt es wird werden zum zur`),
	"fr": strings.Fields(`je tu il elle nous vous ils elles mon ma mes ton ta tes votre vos notre nos le la les un une des ce cette ces est sont était suis être
		peux peut pouvez puis-je puis voudrais veux avoir ai as avez ont ne pas comment quoi que quand où pourquoi qui quel quelle et ou mais si à de du en dans sur
		pour avec sans par au aux plus s'il plaît besoin aide moi me j'ai je n'ai c'est qu'est-ce est-ce faire`),
	"es": strings.Fields(`yo tú él ella nosotros ustedes mi mis tu tus su sus nuestro el la los las un una unos unas este esta estos es son era soy ser estar estoy está
		puedo puede podría quiero quisiera tengo tiene he ha han no cómo como qué que cuándo cuando dónde por quién cuál y o pero si a de del en al para con sin
		sobre más favor necesito ayuda me nos hay hacer muy ya`),
	"it": strings.Fields(`io tu lui lei noi voi loro mio mia miei tuo tua suo sua nostro il lo la i gli le un uno una questo questa è sono era essere
		posso può potrei vorrei voglio ho hai ha abbiamo avete non come cosa che quando dove perché chi quale e o ma se a di del della dei in nel nella su per con senza
		da dal al alla più favore bisogno aiuto mi ci c'è fare`),
	"pt": strings.Fields(`eu tu você ele ela nós vocês meu minha meus minhas seu sua nosso o a os as um uma este esta isso é são era sou ser estar estou está
		posso pode poderia quero gostaria tenho tem temos não como que quê quando onde por porque quem qual e ou mas se de do da dos das em no na nos nas para com sem
		sobre mais favor preciso ajuda me há fazer muito já ao à`),
	"nl": strings.Fields(`ik jij je u hij zij wij we mijn jouw uw onze de het een dit dat deze is zijn was ben
		kan kunt kunnen zou wil wilt heb heeft hebben niet geen hoe wat wanneer waar waarom wie welke en of maar als te van in op aan voor uit met zonder
		door over naar alstublieft graag nodig hulp mij me ons ook nog er wordt worden bij`),
	// Not spoken by the notices, but easily taken for one that is.
	"tr": strings.Fields(`ben sen o biz siz bu şu bir ve veya ama ne nasıl neden nerede kim hangi için ile mi mı mu mü değil var yok çok daha en olarak gibi kadar
		sonra önce ise de da ki hangisi olan oldu nedir kaç`),
	"ro": strings.Fields(`eu tu el ea noi voi meu mea un o și sau dar dacă nu ce cum când unde de cine care pentru cu fără la din pe în este sunt era fost am ai are
		mai cât câte câți ale lui lor a al prin după această acest`),
	"pl": strings.Fields(`ja ty on ona wy mój moja moje moją twój swój ten ta to te jest są był była być
		mogę można może chcę chciałbym chciałabym mam ma mamy nie jak co kiedy gdzie dlaczego kto który która i lub ale jeśli czy do z ze w we na o od dla przez
		bez po przy proszę potrzebuję pomoc pomocy mi mnie się już tylko za`),
}

// languagesOf tells which languages have a word, from functionWords.
var languagesOf = func() map[string][]string {
	out := map[string][]string{}
	for tag, words := range functionWords {
		for _, w := range words {
			out[w] = append(out[w], tag)
		}
	}
	return out
}()

// byWords counts the function words of a text, each shared by the languages
// that have it, and gives the language with most. clear tells that it leads by
// at least one word that others don't have.
func byWords(text string) (tag string, clear bool) {
	scores := map[string]float64{}
	for _, word := range strings.FieldsFunc(strings.ToLower(text), func(r rune) bool {
		return strings.ContainsRune(" \t\r\n.,;:!?¿¡()[]\"“”„«»/…", r)
	}) {
		word = strings.ReplaceAll(word, "’", "'")
		owners := languagesOf[word]
		if before, _, found := strings.Cut(word, "'"); len(owners) == 0 && found && len(before) <= 2 {
			// l'ordine, d'une: what is elided tells little but something.
			for _, romance := range []string{"fr", "it"} {
				scores[romance] += .4
			}
			continue
		}
		for _, owner := range owners {
			scores[owner] += 1 / float64(len(owners))
		}
	}
	var best, second float64
	for t, score := range scores {
		switch {
		case score > best || score == best && t < tag:
			tag, best, second = t, score, max(best, second)
		case score > second:
			second = score
		}
	}
	return tag, best >= 1 && best-second >= .7
}

package inactivity

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"
)

// Turn says who owes the reply.
type Turn string

const (
	// TurnCustomer says that the customer does: an agent wrote last.
	TurnCustomer Turn = "Customer"
	// TurnAgent says that an agent does: the customer wrote last, or nobody has written.
	TurnAgent Turn = "Agent"
)

// writer is what kind of author a message has.
type writer int

const (
	// byProgram wrote without being a person: a bot, Twilio itself, or the operator.
	byProgram writer = iota
	byCustomer
	byAgent
	// bySomebody is a participant, and the participants were not looked at.
	bySomebody
)

// systemAuthor is the author of what programs write without giving one
// (https://www.twilio.com/docs/conversations-classic/api/conversation-message-resource).
const systemAuthor = "system"

// memberType is the attribute by which older web chats of Flex mark the customer among the participants, as a guest.
const memberType, memberTypeGuest = "member_type", "guest"

// writerOf says who wrote a message. What no participant wrote comes from a program, except where the author is the
// customer's own address.
func (p Policy) writerOf(message Message, snapshot Snapshot) writer {
	switch {
	case p.Wrote(message) || message.Author == systemAuthor:
		return byProgram
	case isCustomerAddress(message.Author, snapshot.Tasks):
		return byCustomer
	case message.ParticipantSID == "":
		return byProgram
	case snapshot.Participants == nil:
		return bySomebody
	case snapshot.Participants.isCustomer(message.ParticipantSID, snapshot.Tasks):
		return byCustomer
	default:
		return byAgent
	}
}

// Wrote reports whether the operator wrote the message. A marker alone does not show it: a web chat client can give its
// messages any attributes, but it cannot write without being a participant, nor under the policy's author.
func (p Policy) Wrote(message Message) bool {
	return message.Marker != nil && (message.ParticipantSID == "" || p.Author != "" && message.Author == p.Author)
}

// byAddress reports whether the customer writes from an address of a messaging channel, such as +15550100 or
// whatsapp:+15550100, so that everybody who does not is an agent.
func byAddress(tasks []Task) bool {
	return slices.ContainsFunc(tasks, func(task Task) bool {
		return slices.ContainsFunc(task.Attributes.CustomerAddresses, func(address string) bool {
			return strings.HasPrefix(address, "+") || strings.Contains(address, ":")
		})
	})
}

func isCustomerAddress(author string, tasks []Task) bool {
	return slices.ContainsFunc(tasks, func(task Task) bool {
		return slices.Contains(task.Attributes.CustomerAddresses, author)
	})
}

// isCustomer reports whether a participant is a customer: bound to an address of a messaging channel, or called by the
// customer's address on a task, or marked as a guest. Agents and web chat customers both have nothing but an identity;
// where no participant is a customer by those signs, only the one who joined last is surely an agent, because agents are
// invited afterwards. A mistake then costs an agent's time, and not a customer who waits. (Flex interactions know the type
// of each participant, but not which one of the conversation it is.)
func (p *Participants) isCustomer(sid string, tasks []Task) bool {
	known := func(participant Participant) bool {
		attributes, err := object(participant.Attributes)
		return participant.Address != "" || err == nil && text(attributes[memberType]) == memberTypeGuest ||
			participant.Identity != "" && isCustomerAddress(participant.Identity, tasks)
	}
	sids := slices.Sorted(maps.Keys(p.BySID))
	if slices.ContainsFunc(sids, func(candidate string) bool { return known(p.BySID[candidate]) }) {
		return known(p.BySID[sid])
	}
	last := ""
	if len(sids) > 1 {
		last = slices.MaxFunc(sids, func(a, b string) int {
			return cmp.Or(p.BySID[a].Joined.Compare(p.BySID[b].Joined), strings.Compare(a, b))
		})
	}
	return sid != last
}

// silence is what the messages say of the present silence of the people.
type silence struct {
	// need is what has to be read before the rest counts.
	need Need
	// anchor is the message that the clock counts from; nil: nobody wrote.
	anchor *Message
	// owes is who owes the reply.
	owes Turn
	// waits is the customer's first message that nobody has answered; nil: the customer does not wait for a reply.
	waits *Message
	// inbound is the customer's last message; nil: there is none, or nothing depends on it.
	inbound *Message
}

// silenceOf reads the messages from the newest to the oldest, as far as the policy needs them. A policy for which it does
// not matter who is the customer tells customers by their address alone, which spares a look at the participants.
func (p Policy) silenceOf(snapshot Snapshot) silence {
	windowed := p.Window != nil && isWindowed(snapshot.Tasks)
	distinguishes := p.OnlyCustomers || p.FirstUnanswered || p.Unanswered != nil || windowed
	found := reading{silence: silence{owes: TurnAgent}}
	for i := range snapshot.Messages.Newest {
		message := &snapshot.Messages.Newest[i]
		by := p.writerOf(*message, snapshot)
		switch {
		case by == byProgram:
			// What people write after the notice is not of the run that it was about.
			found.runEnded = found.runEnded || found.anchor != nil && p.Wrote(*message) && message.Marker.Step == StepNotice
			continue
		case by == bySomebody && distinguishes:
			return silence{need: NeedParticipants}
		case by == bySomebody && byAddress(snapshot.Tasks):
			by = byAgent
		}
		found.take(message, by, p.FirstUnanswered)
		if (found.runEnded || !p.followsRun(found.newest)) && (found.inbound != nil || !windowed) {
			return found.silence
		}
	}
	if snapshot.Messages.More {
		return silence{need: NeedAllMessages}
	}
	return found.silence
}

// reading is a silence while the messages of people are read, from the newest to the oldest.
type reading struct {
	silence
	// newest is who wrote last. The run of that side's messages has ended where the other side wrote.
	newest   writer
	runEnded bool
}

// take reads one more message of a person.
func (r *reading) take(message *Message, by writer, firstUnanswered bool) {
	if r.anchor == nil {
		r.anchor, r.newest = message, by
		switch by {
		case byAgent:
			r.owes = TurnCustomer
		case bySomebody:
			r.owes = "" // nobody knows, and nothing depends on it
		case byCustomer, byProgram:
		}
	}
	if by == byCustomer && r.inbound == nil {
		r.inbound = message
	}
	r.runEnded = r.runEnded || by != r.newest
	switch {
	case r.runEnded:
	case by == byCustomer:
		r.waits = message
	case firstUnanswered:
		r.anchor = message
	}
}

// followsRun reports whether it matters how the run of messages of the side that wrote last began.
func (p Policy) followsRun(newest writer) bool {
	return newest == byAgent && p.FirstUnanswered || newest == byCustomer && p.Unanswered != nil
}

// episode is one silence: it begins with the message that the clock counts from or with the latest accept, whichever is
// later.
type episode struct {
	id string
	at time.Time
}

func episodeOf(newest Task, anchor *Message) episode {
	if anchor != nil && !anchor.At.Before(newest.Accepted.At) {
		return episode{id: anchor.SID, at: anchor.At}
	}
	return episode{id: newest.Accepted.SID, at: newest.Accepted.At}
}

// has reports whether a text was sent in the episode. One that was sent in an episode that began later counts too: the
// task whose accept that one began with may have ended meanwhile.
func (e episode) has(marker *Marker) bool {
	return marker.Episode == e.id || !e.at.After(marker.IdleSince)
}
